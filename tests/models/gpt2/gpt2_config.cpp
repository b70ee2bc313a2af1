#include <lora/models/gpt2/gpt2_config.hpp>

#include <vector>

#include "models/gpt2/golden_gpt2.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;
using models::GPT2Config;

TEST_CASE("sizes that no GPT-2 has are refused") {
  CHECK_NOTHROW(models::validate(GPT2Config{}, "here"));
  check_throws<ConfigError>([] { models::validate(GPT2Config{.n_head = 7}, "here"); },
                            "here: n_embd is 768, expected a multiple of the 7 n_head");
  check_throws<ConfigError>([] { models::validate(GPT2Config{.n_inner = 0}, "here"); },
                            "here: n_inner is 0, expected at least 1");
}

TEST_CASE("GPT-2's scores are scaled by its heads and layers, as far as the config says") {
  GPT2Config config{.n_embd = 64, .n_head = 4};
  CHECK(config.head_features() == 16);
  CHECK(config.attention_scaling(2) == 0.25);
  config.scale_attn_by_inverse_layer_idx = true;
  CHECK(config.attention_scaling(0) == 0.25);
  CHECK(config.attention_scaling(1) == 0.125);
  config.scale_attn_weights = false;
  CHECK(config.attention_scaling(1) == 0.5);
}

TEST_CASE("the config.json of a GPT-2's directory is read") {
  const GPT2Config config = models::read_gpt2_config(gpt2_data("scaled"));
  CHECK(config.scale_attn_by_inverse_layer_idx);
  CHECK(config.activation_function == Activation::relu);
  CHECK(config.n_inner == 24);
  CHECK(config.eos_token_ids == std::vector<int>{2});
  CHECK(models::read_gpt2_config(gpt2_data("gpt2")).n_inner == 64);
  CHECK(models::read_gpt2_config(gpt2_data("untied")).eos_token_ids.empty());
  CHECK_THROWS_AS(models::read_gpt2_config(gpt2_data("none")), FileError);
}
