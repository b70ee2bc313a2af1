#include <lora/models/common/trainable_tokens_head.hpp>

#include <cmath>
#include <vector>

#include <lora/layers/lora_linear.hpp>
#include <lora/nn/language_model_loss.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

TEST_CASE("a head with rows that train is the head of a table that has them") {
  using T = double;
  const Matrix<T> weight = random_matrix<T>(11, 5, 1);
  const std::vector<int> indices{4, 9, 0};
  const LoRALinear<T> frozen{DenseWeight<T>(weight)};
  TrainableTokens<T> tokens("lm_head", indices, weight);
  tokens.values().value = random_matrix<T>(3, 5, 2);
  Matrix<T> replaced = weight;
  for (Index k = 0; k < 3; ++k)
    replaced.row(indices[static_cast<std::size_t>(k)]) = tokens.values().value.row(k);
  const LoRALinear<T> plain{DenseWeight<T>(replaced)};
  const TrainableTokensHead<T, LoRALinear<T>> head(frozen, tokens);
  CHECK(head.in_features() == 5);
  CHECK(head.out_features() == 11);

  const Matrix<T> hidden = random_matrix<T>(6, 5, 3);
  const std::vector<int> labels{3, ignored_label, 4, 0, 9, 10};
  Matrix<T> y, expected, dhidden, expected_dhidden;
  head.forward(hidden, y);
  plain.forward(hidden, expected);
  CHECK(largest_difference(y, expected) < 1e-14);
  Tape<T> tape;
  const auto target = GradientTarget<T>::own();
  const auto loss = language_model_loss<T>(head, hidden, labels, {}, tape, target, dhidden);
  CHECK(tape.empty());
  const double whole =
      language_model_loss<T>(plain, hidden, labels, {}, tape, target, expected_dhidden).sum;
  CHECK(std::abs(loss.sum - whole) < 1e-13);
  CHECK(largest_difference(dhidden, expected_dhidden) < 1e-14);
  // The rows' gradients are numerical ones of the mean.
  auto& values = tokens.values();
  for (Index i = 0; i < values.size(); ++i) {
    T& value = values.value.data()[i];
    const T before = value, step = 1e-5;
    value = before + step;
    const double up = language_model_loss<T>(head, hidden, labels).mean();
    value = before - step;
    const double down = language_model_loss<T>(head, hidden, labels).mean();
    value = before;
    CHECK(std::abs((up - down) / (2 * step) - values.grad.data()[i]) < 1e-9);
  }
}
