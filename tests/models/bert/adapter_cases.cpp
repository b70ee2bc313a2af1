// Adapters as they come from other people's programs: tests/golden/cases.
#include <string>

#include <lora/models.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using lora::test::check_throws;

namespace {

const std::filesystem::path cases = std::filesystem::path(LORA_GOLDEN_DIR) / "cases";

// The logits of [2 5 6 3] with that adapter.
Matrix<float> logits_with(const std::string& adapter) {
  const auto directory = cases / adapter;
  models::BertForSequenceClassification<float> model(cases / "base/seq",
                                                     {.tuning = peft::read_peft_config(directory)});
  model.load_adapter(directory);
  text::TokenBatch tokens{Matrix<int>(1, 4), Matrix<int>::Zero(1, 4), Matrix<int>::Ones(1, 4)};
  tokens.ids << 2, 5, 6, 3;
  Matrix<float> logits;
  model.forward(tokens, logits);
  return logits;
}

// Values of peft 0.21.2, to the digits that it was asked for.
void check_logits(const std::string& adapter, double first, double second) {
  CAPTURE(adapter);
  const Matrix<float> logits = logits_with(adapter);
  CHECK(logits(0, 0) == Approx(first).margin(2e-6));
  CHECK(logits(0, 1) == Approx(second).margin(2e-6));
}

}  // namespace

TEST_CASE("patterns with lookarounds select what Python selects") {
  for (const char* name : {"swift-style", "swift-old", "unsloth-style"})
    check_logits(std::string("lookahead-pattern/") + name, 0.071577, -0.206360);
}
