#include <lora/models/llama/llama_config.hpp>

#include <lora/models/llama/llama_outline.hpp>

#include "models/llama/golden_llama.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;
using models::LlamaConfig;

TEST_CASE("settings that contradict each other are refused") {
  LlamaConfig config{.hidden_size = 16, .num_attention_heads = 4, .num_key_value_heads = 2};
  CHECK_NOTHROW(models::validate(config, "here"));
  const auto refused = [](const LlamaConfig& spoilt, const char* part) {
    check_throws<ConfigError>([&] { models::validate(spoilt, "here"); }, part);
  };
  LlamaConfig spoilt = config;
  spoilt.num_key_value_heads = 3;
  refused(spoilt, "expected a multiple of the 3 num_key_value_heads");
  spoilt = config;
  spoilt.head_dim = 7;
  refused(spoilt, "head_dim is 7, expected an even number");
  spoilt = config;
  spoilt.vocab_size = 0;
  refused(spoilt, "vocab_size is 0");
  spoilt = config;
  spoilt.windows = {4};
  refused(spoilt, "windows are 1, expected one for each of 32 layers");
}

TEST_CASE("texts may be as long as their positions were stretched to") {
  LlamaConfig config{.max_position_embeddings = 100};
  CHECK(config.longest_text() == 100);
  config.rope = {.scaling = RotaryScaling::dynamic, .factor = 4, .max_positions = 100};
  CHECK(config.longest_text() == 400);
  config.rope = {.scaling = RotaryScaling::yarn, .factor = 4, .original_positions = 20};
  CHECK(config.longest_text() == 100);
}

TEST_CASE("a directory's config.json is read") {
  const LlamaConfig config = models::read_llama_config(llama_data("mistral"));
  CHECK(config.model_type == "mistral");
  CHECK(config.window(1) == 3);
  CHECK(config.eos_token_ids == std::vector<int>{2});
  CHECK_THROWS_AS(models::read_llama_config(llama_data("none")), FileError);
}
