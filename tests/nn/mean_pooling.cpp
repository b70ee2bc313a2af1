#include <lora/nn/mean_pooling.hpp>

#include <array>
#include <vector>

#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/golden.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/repeatable.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("mean_pooling and its gradient are sentence-transformers'") {
  const Golden<float> golden("nn_pooling_f32");
  const auto& numbers = golden["mask"];
  std::vector<int> mask;
  for (Index i = 0; i < numbers.size(); ++i) mask.push_back(static_cast<int>(numbers.data()[i]));
  const auto sequences = Sequences::masked(mask, numbers.cols());
  Matrix<float> y, dx;
  mean_pooling(golden["x"], sequences, y);
  mean_pooling_backward(golden["dy"], sequences, dx);
  CHECK(largest_difference(y, golden["y"]) <= Tolerance<float>(4).value);
  CHECK(largest_difference(dx, golden["dx"]) <= Tolerance<float>(1).value);
}

TEST_CASE("mean_pooling's gradient agrees with finite differences") {
  const auto sequences = Sequences::masked(std::array{1, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1}, 4);
  Matrix<double> x = random_matrix<double>(12, 5, 1), dx;
  const Matrix<double> c = random_matrix<double>(3, 5, 2);
  mean_pooling_backward(c, sequences, dx);
  const auto loss = [&] {
    Matrix<double> y;
    mean_pooling(x, sequences, y);
    return (y.array() * c.array()).sum();
  };
  CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
}

TEST_CASE("mean_pooling gives the same bits for any number of threads, allocates nothing again") {
  const std::vector<int> lengths(64, 30);
  const auto sequences = Sequences::padded(lengths, 50);
  const Matrix<float> x = random_matrix<float>(sequences.rows(), 301, 1);
  Matrix<float> y, dx;
  check_repeatable<float>(
      [&] {
        mean_pooling(x, sequences, y);
        mean_pooling_backward(y, sequences, dx);
      },
      y, dx);
}

TEST_CASE("mean_pooling refuses what does not fit") {
  const auto sequences = Sequences::packed(std::array{2, 1});
  Matrix<float> y;
  CHECK_THROWS_AS(mean_pooling(random_matrix<float>(4, 2, 1), sequences, y), ShapeError);
  CHECK_THROWS_AS(mean_pooling_backward(random_matrix<float>(3, 2, 1), sequences, y), ShapeError);
  CHECK(y.size() == 0);
}

TEST_CASE("mean_pooling writes to the caller's memory, but not over its input") {
  const auto sequences = Sequences::masked(std::array{1, 1, 0, 0, 0, 0, 0, 1, 1}, 3);
  const Matrix<float> x = random_matrix<float>(9, 5, 1), dy = random_matrix<float>(3, 5, 2);
  Matrix<float> y, dx;
  mean_pooling(x, sequences, y);
  mean_pooling_backward(dy, sequences, dx);
  check_output<float>(y, [&](Output<float> out) { mean_pooling(x, sequences, out); });
  check_output<float>(dx, [&](Output<float> out) { mean_pooling_backward(dy, sequences, out); });
  Matrix<float> memory = x;
  CHECK_THROWS_AS(mean_pooling(memory, sequences, memory), ShapeError);
  CHECK_THROWS_AS(mean_pooling(memory, sequences, memory.topRows(3)), ShapeError);
  CHECK_THROWS_AS(mean_pooling_backward(memory.topRows(3), sequences, memory), ShapeError);
  CHECK(same_bits(memory, x));
}
