#include <lora/peft/peft_config.hpp>

#include "support/throws.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("a layer's settings follow the patterns") {
  PeftConfig config;
  config.r = 4;
  config.lora_alpha = 12;
  config.use_rslora = true;
  config.lora_dropout = 0.1;
  config.rank_pattern.add("query", 2);
  config.alpha_pattern.add("^value", 5);
  CHECK(config.layer_config("a.query") ==
        LoRAConfig{.rank = 2, .alpha = 12, .dropout = 0.1, .use_rslora = true});
  CHECK(config.layer_config("value") ==
        LoRAConfig{.rank = 4, .alpha = 5, .dropout = 0.1, .use_rslora = true});
  CHECK(config.layer_config("a.value").alpha == 12);
  config.init_lora_weights = "gaussian";
  CHECK(config.layer_config("x").init == LoRAInit::gaussian);
  config.init_lora_weights = "olora";
  CHECK(config.layer_config("x").init == LoRAInit::olora);
  config.init_lora_weights = "eva";  // the base is whole, and a file brings the factors
  CHECK(config.layer_config("x").init == LoRAInit::kaiming);
  config.init_lora_weights = false;
  CHECK(config.layer_config("x").init == LoRAInit::kaiming);
  for (const char* bias : {"lora_only", "all"}) {
    config.bias = bias;
    CHECK(config.layer_config("x").train_bias);
  }
}

TEST_CASE("a start that needs more than a config is not taken for another") {
  PeftConfig config;
  for (const char* word :
       {"pissa_niter_4", "loftq", "corda", "lora_ga", "kaiming", "Gaussian", ""}) {
    config.init_lora_weights = word;
    check_throws<ConfigError>([&] { static_cast<void>(config.layer_config("query")); },
                              message("init_lora_weights is \"", word, "\", expected"));
  }
}

TEST_CASE("a config that says nothing has PEFT's defaults") {
  const LoRAConfig layer = PeftConfig{}.layer_config("x");
  CHECK(layer.rank == 8);
  CHECK(layer.alpha == 8);
  CHECK(layer.scaling() == 1);
  CHECK(!layer.train_bias);
}
