#include <lora/models/gpt2/gpt2_options.hpp>

#include <string>

#include <lora/models/gpt2/gpt2_model.hpp>

#include "models/gpt2/golden_gpt2.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("options that do not fit a GPT-2 are refused") {
  const auto refused = [](const models::GPT2Options& options, const std::string& part) {
    check_throws<ConfigError>(
        [&] { const models::GPT2Model<float> model(gpt2_data("bare"), options); }, part);
  };
  refused({.embedding_dropout = 1.0}, "embedding_dropout is 1");
  refused({.residual_dropout = -1.0}, "residual_dropout is -1");
  refused({.attention_dropout = 2.0}, "attention_dropout is 2");
  refused({.tuning = models::LastLayers{3}}, "count is 3");
  refused({.tuning = models::BottleneckAdapters{2}}, "BottleneckAdapters are not built");
  refused(
      {.tuning = peft::PeftConfig{.r = 1025, .target_modules = std::vector<std::string>{"wpe"}}},
      "the rank of \"transformer.wpe\" is 1025, expected at most 1024");
  refused({.tuning = peft::PeftConfig{.modules_to_save = {"c_fc"}}},
          "whole, which is not built for a Conv1D");
  const models::GPT2Model<float> model(gpt2_data("bare"), {.residual_dropout = 0.25});
  CHECK(model.config().resid_pdrop == 0.25);
}
