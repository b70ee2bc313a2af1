#include <lora/nn/cross_entropy.hpp>

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/golden.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
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

TEST_CASE("cross_entropy's options are PyTorch's") {
  const Golden<float> golden("nn_cross_entropy_f32");
  const auto integers = [](const Matrix<float>& numbers) {
    std::vector<int> labels;
    for (Index i = 0; i < numbers.size(); ++i) labels.push_back(static_cast<int>(numbers(0, i)));
    return labels;
  };
  const std::vector<int> labels = integers(golden["labels"]), other = integers(golden["labels_3"]);
  const auto& w = golden["weights"];
  const std::span<const float> weights(w.data(), static_cast<std::size_t>(w.size()));
  const auto check = [&](const std::string& name, const CrossEntropyOptions<float>& options) {
    CAPTURE(name);
    const auto& gradient = golden[name + "_gradient"];
    Matrix<float> dlogits;
    const float loss = cross_entropy<float>(golden["logits"], name == "ignore_3" ? other : labels,
                                            options, dlogits);
    CHECK(loss == Approx(golden[name + "_loss"](0, 0)).epsilon(Tolerance<float>(9).value));
    CHECK(largest_difference(dlogits, gradient) <=
          Tolerance<float>(6, std::max(1.0F, gradient.cwiseAbs().maxCoeff())).value);
  };
  check("plain", {});
  check("weights", {.class_weights = weights});
  check("smooth", {.label_smoothing = 0.1});
  check("all", {.class_weights = weights, .label_smoothing = 0.3});
  check("sum", {.class_weights = weights, .label_smoothing = 0.3, .reduction = Reduction::sum});
  check("ignore_3", {.class_weights = weights, .label_smoothing = 0.3, .ignore_index = 3});
}

TEST_CASE("cross_entropy's gradient agrees with finite differences under every option") {
  // More classes than a vector register has elements, and not a multiple of them.
  Matrix<double> logits = 3 * random_matrix<double>(6, 21, 1);
  const std::array<int, 6> labels{0, 20, -100, 2, 11, 3};
  std::array<double, 21> weights{};
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = 0.1 * static_cast<double>(i);
  for (const double smoothing : {0.0, 0.2, 1.0})
    for (const bool weighted : {false, true})
      for (const Reduction reduction : {Reduction::mean, Reduction::sum}) {
        CrossEntropyOptions<double> options{.label_smoothing = smoothing, .reduction = reduction};
        if (weighted) options.class_weights = weights;
        Matrix<double> gradient;
        cross_entropy(logits, labels, options, gradient);
        const auto function = [&] { return cross_entropy(logits, labels, options); };
        CHECK(relative_error(gradient, finite_difference(logits, function)) < 1e-6);
        Matrix<double> in_place = logits;
        cross_entropy(in_place, labels, options, in_place);
        CHECK(same_bits(in_place, gradient));
      }
}

TEST_CASE("cross_entropy of rows that are all ignored is zero") {
  const Matrix<float> logits = random_matrix<float>(2, 3, 1);
  Matrix<float> gradient;
  CHECK(cross_entropy(logits, std::array{-100, -100}, gradient) == 0);
  CHECK((gradient.rows() == 2 && gradient.isZero(0)));
  CHECK(cross_entropy(logits, std::array{1, 1}, {.ignore_index = 1}, gradient) == 0);
  const std::array<float, 3> weights{1, 0, 1};
  CHECK(cross_entropy(logits, std::array{1, 1}, {.class_weights = weights}, gradient) == 0);
  CHECK(gradient.isZero(0));
}

TEST_CASE("cross_entropy refuses options out of range, before anything changes") {
  const Matrix<float> logits = random_matrix<float>(2, 3, 1);
  const std::array<int, 2> labels{0, 1};
  Matrix<float> gradient;
  const std::array<float, 2> two{1, 1};
  const std::array<float, 3> negative{1, -1, 1};
  CHECK_THROWS_WITH(cross_entropy(logits, labels, {.class_weights = two}, gradient),
                    "cross_entropy: 2 class weights, expected one for each of 3 classes");
  CHECK_THROWS_AS(cross_entropy(logits, labels, {.class_weights = negative}, gradient),
                  ConfigError);
  CHECK_THROWS_AS(cross_entropy(logits, labels, {.label_smoothing = 1.5}, gradient), ConfigError);
  CHECK_THROWS_AS(cross_entropy(logits, labels, {.label_smoothing = -0.5}, gradient), ConfigError);
  CHECK_THROWS_AS(cross_entropy(logits, std::array{0, -100}, {.ignore_index = {}}, gradient),
                  ShapeError);
  CHECK(gradient.size() == 0);
}

TEST_CASE("cross_entropy gives the same bits for any number of threads, allocates nothing again") {
  const Matrix<float> logits = random_matrix<float>(300, 301, 1);
  std::vector<int> labels;
  for (int i = 0; i < 300; ++i) labels.push_back(i % 7 == 0 ? -100 : i);
  Matrix<float> gradient_one;
  float loss_one = 0;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    Matrix<float> gradient;
    float loss = 0;
    const auto step = [&] {
      loss = cross_entropy(logits, labels, {.label_smoothing = 0.1}, gradient);
    };
    step();
    if (count == 1) {
      gradient_one = gradient;
      loss_one = loss;
    }
    CHECK(loss == loss_one);
    CHECK(same_bits(gradient, gradient_one));
    const Threads countable(countable_threads(count));
    step();
    CHECK(allocations_of(step).count == 0);
  }
}

TEST_CASE("cross_entropy writes to the caller's memory, but not over a part of its input") {
  const Matrix<float> logits = random_matrix<float>(4, 21, 1);
  const std::vector<int> labels{3, 20, -100, 0};
  Matrix<float> dlogits;
  const float loss = cross_entropy(logits, labels, dlogits);
  check_output<float>(dlogits, [&](Output<float> out) {
    if (cross_entropy(logits, labels, out) != loss) FAIL("another loss");
  });
  check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
    static_cast<void>(cross_entropy<float>(in, labels, out));
  });
}
