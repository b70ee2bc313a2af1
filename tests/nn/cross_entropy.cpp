#include <lora/nn/cross_entropy.hpp>

#include <array>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("cross_entropy's gradient agrees with finite differences") {
  Matrix<double> logits = 3 * random_matrix<double>(6, 5, 1);
  const std::array<int, 6> labels{0, 4, 2, 2, 1, 3};
  Matrix<double> gradient;
  const double loss = cross_entropy(logits, labels, gradient);
  CHECK(loss == Approx(cross_entropy(logits, labels)).epsilon(1e-15));
  const auto function = [&] { return cross_entropy(logits, labels); };
  CHECK(relative_error(gradient, finite_difference(logits, function, 1e-5)) < 1e-6);
}

TEST_CASE("cross_entropy is -log of the probability, and survives large logits") {
  Matrix<double> logits(1, 2);
  logits << 0, 0;
  const std::array<int, 1> label{1};
  CHECK(cross_entropy(logits, label) == Approx(std::log(2.0)).epsilon(1e-15));
  Matrix<float> large(1, 3);
  large << 1e30F, -1e30F, 0;
  const std::array<int, 1> first{0};
  Matrix<float> gradient;
  CHECK(cross_entropy(large, first, gradient) == 0);
  CHECK(gradient.allFinite());
}

TEST_CASE("cross_entropy may write the gradient over the logits") {
  Matrix<float> logits = random_matrix<float>(4, 3, 1), gradient;
  const std::array<int, 4> labels{2, 1, 0, 2};
  const float loss = cross_entropy(logits, labels, gradient);
  CHECK(cross_entropy(logits, labels, logits) == loss);
  CHECK(same_bits(logits, gradient));
}

TEST_CASE("cross_entropy refuses labels that do not fit and takes an empty batch") {
  Matrix<float> logits = random_matrix<float>(2, 3, 1), gradient;
  CHECK_THROWS_AS(cross_entropy(logits, std::array<int, 3>{0, 1, 2}, gradient), ShapeError);
  CHECK_THROWS_WITH(cross_entropy(logits, std::array<int, 2>{0, 3}, gradient),
                    "cross_entropy: label 1 is 3, expected a class in [0, 3)");
  CHECK_THROWS_AS(cross_entropy(logits, std::array<int, 2>{-1, 0}, gradient), ShapeError);
  CHECK(gradient.size() == 0);
  CHECK(cross_entropy(Matrix<float>(0, 3), std::span<const int>{}, gradient) == 0);
}

TEST_CASE("cross_entropy and its gradient are PyTorch's") {
  const Golden<float> golden("cross_entropy_f32");
  const auto& numbers = golden["labels"];
  std::vector<int> labels;
  for (Index i = 0; i < numbers.size(); ++i) labels.push_back(static_cast<int>(numbers(0, i)));
  Matrix<float> gradient;
  const float loss = cross_entropy(golden["logits"], labels, gradient);
  CHECK(loss == Approx(golden["loss"](0, 0)).epsilon(Tolerance<float>(9).value));
  CHECK(largest_difference(gradient, golden["gradient"]) <= Tolerance<float>(6).value);
}
