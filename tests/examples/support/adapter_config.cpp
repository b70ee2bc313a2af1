#include "examples/support/adapter_config.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

TEST_CASE("options of adapters make the config that PEFT would have") {
  examples::AdapterOptions options;
  options.rank = 4;
  options.dropout = 0.25;
  options.targets = {"q", "v"};
  auto config = examples::adapter_config(options, "CAUSAL_LM", "base");
  CHECK(config.r == 4);
  CHECK(config.lora_alpha == 8);
  CHECK(config.lora_dropout == 0.25);
  CHECK(!config.use_dora);
  CHECK(config.target_modules == lora::peft::ModuleNames(std::vector<std::string>{"q", "v"}));
  CHECK(config.task_type == "CAUSAL_LM");
  CHECK(config.base_model_name_or_path == "base");
  options.targets = {"all-linear"};
  options.dora = true;
  config = examples::adapter_config(options, "CAUSAL_LM", "base");
  CHECK(config.target_modules == lora::peft::ModuleNames("all-linear"));
  CHECK(config.use_dora);
  CHECK(lora::peft::start_of(config.init_lora_weights) == lora::LoRAInit::kaiming);
  options.init = "orthogonal";
  config = examples::adapter_config(options, "CAUSAL_LM", "base");
  CHECK(lora::peft::start_of(config.init_lora_weights) == lora::LoRAInit::orthogonal);
  // These begin in the model, and what is saved is for the unchanged base.
  options.init = "pissa";
  config = examples::adapter_config(options, "CAUSAL_LM", "base");
  CHECK(lora::peft::start_of(config.init_lora_weights) == lora::LoRAInit::kaiming);
}
