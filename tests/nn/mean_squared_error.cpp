#include <lora/nn/mean_squared_error.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("mean_squared_error is PyTorch's") {
  // torch.nn.MSELoss: the mean over all elements of (y - target)^2, here of 0.25, 0, 4, 0, 0.25, 1;
  // its gradient is 2 (y - target) / 6.
  Matrix<double> y(2, 3), target(2, 3), expected(2, 3), dy;
  y << 1, 2, 3, 4, 5.5, -6;
  target << 1.5, 2, 1, 4, 5, -7;
  expected << -0.5, 0, 2, 0, 0.5, 1;
  expected *= 2.0 / 6;
  CHECK(mean_squared_error(y, target, dy) == Approx(5.5 / 6).epsilon(1e-15));
  CHECK(largest_difference(dy, expected) <= Tolerance<double>(1).value);
  CHECK(mean_squared_error(y, target) == mean_squared_error(y, target, dy));
}

TEST_CASE("mean_squared_error's gradient agrees with finite differences") {
  // Odd sizes, so that the last elements of a row fill no vector register.
  Matrix<double> y = random_matrix<double>(6, 21, 1);
  const Matrix<double> target = random_matrix<double>(6, 21, 2);
  for (const MeanSquaredErrorOptions& options :
       {MeanSquaredErrorOptions{}, MeanSquaredErrorOptions{.elements = 500}}) {
    Matrix<double> dy;
    const double loss = mean_squared_error(y, target, options, dy);
    const auto function = [&] { return mean_squared_error(y, target, options); };
    CHECK(loss == function());
    CHECK(relative_error(dy, finite_difference(y, function)) < 1e-6);
  }
}

TEST_CASE("mean_squared_errors of the parts of a batch add up to the batch's") {
  const Matrix<float> y = random_matrix<float>(11, 5, 1), target = random_matrix<float>(11, 5, 2);
  Matrix<float> whole, part;
  const float loss = mean_squared_error(y, target, whole);
  float sum = 0;
  for (const auto& [first, rows] : {std::pair<Index, Index>{0, 7}, {7, 1}, {8, 3}}) {
    sum += mean_squared_error<float>(y.middleRows(first, rows), target.middleRows(first, rows),
                                     {.elements = y.size()}, part);
    CHECK(same_bits(part, whole.middleRows(first, rows)));
  }
  CHECK(sum == Approx(loss).epsilon(Tolerance<float>(y.size()).value));
}

TEST_CASE("mean_squared_error may write the gradient over y or the target") {
  const Matrix<float> y = random_matrix<float>(4, 3, 1), target = random_matrix<float>(4, 3, 2);
  Matrix<float> dy, over_y = y, over_target = target;
  const float loss = mean_squared_error(y, target, dy);
  CHECK(mean_squared_error(over_y, target, over_y) == loss);
  CHECK(mean_squared_error(y, over_target, over_target) == loss);
  CHECK(same_bits(over_y, dy));
  CHECK(same_bits(over_target, dy));
}

TEST_CASE("mean_squared_error takes an empty batch, and refuses what does not fit") {
  Matrix<float> dy;
  CHECK(mean_squared_error(Matrix<float>(0, 3), Matrix<float>(0, 3), dy) == 0);
  CHECK((dy.rows() == 0 && dy.cols() == 3));
  const Matrix<float> y = random_matrix<float>(2, 3, 1), target = random_matrix<float>(3, 2, 2);
  check_throws<ShapeError>([&] { mean_squared_error(y, target, dy); },
                           "mean_squared_error: target is (3, 2), expected (2, 3)");
  for (const Index elements : {-1, 0, 5})
    check_throws<ConfigError>([&] { mean_squared_error(y, y, {.elements = elements}, dy); },
                              "expected at least the 6 of y (2, 3)");
  CHECK(dy.rows() == 0);
}

TEST_CASE("mean_squared_error gives the same bits for any number of threads, allocates once") {
  const Matrix<float> y = random_matrix<float>(300, 301, 1);
  const Matrix<float> target = random_matrix<float>(300, 301, 2);
  Matrix<float> first;
  float first_loss = 0;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    Matrix<float> dy;
    float loss = 0;
    const auto step = [&] { loss = mean_squared_error(y, target, dy); };
    step();
    if (count == 1) {
      first = dy;
      first_loss = loss;
    }
    CHECK(loss == first_loss);
    CHECK(same_bits(dy, first));
    const Threads countable(countable_threads(count));
    step();
    CHECK(allocations_of(step).count == 0);
  }
}

TEST_CASE("mean_squared_error writes to the caller's memory, but not over a part of its input") {
  const Matrix<float> y = random_matrix<float>(4, 21, 1), target = random_matrix<float>(4, 21, 2);
  Matrix<float> dy;
  const float loss = mean_squared_error(y, target, dy);
  check_output<float>(dy, [&](Output<float> out) {
    if (mean_squared_error(y, target, out) != loss) FAIL("another loss");
  });
  check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
    static_cast<void>(mean_squared_error<float>(in, target, out));
  });
  check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
    static_cast<void>(mean_squared_error<float>(y, in, out));
  });
}
