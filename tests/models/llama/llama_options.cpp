#include <lora/models/llama/llama_options.hpp>

#include <string>

#include <lora/models/llama/llama_model.hpp>

#include "models/llama/golden_llama.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("options that do not fit a decoder are refused") {
  const auto refused = [](const models::LlamaOptions& options, const std::string& part) {
    check_throws<ConfigError>(
        [&] { const models::LlamaModel<float> model(llama_data("llama"), options); }, part);
  };
  refused({.attention_dropout = 1.0}, "attention_dropout");
  refused({.tuning = models::LastLayers{3}}, "count is 3");
  refused({.tuning = peft::PeftConfig{.target_modules = std::vector<std::string>{"nothing"}}},
          "selects no module");
  refused({.tuning = peft::PeftConfig{.r = 1025,
                                      .target_modules = std::vector<std::string>{"embed_tokens"}}},
          "the rank of \"model.embed_tokens\" is 1025");
}
