#include <lora/nn/relu.hpp>

#include <algorithm>

#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("relu and its gradient agree with finite differences") {
  Matrix<double> x = random_matrix<double>(7, 5, 1);
  const Matrix<double> c = random_matrix<double>(7, 5, 2);
  Matrix<double> y, dx;
  relu(x, y);
  CHECK((y.array() >= 0).all());
  relu_backward(y, c, dx);
  const auto loss = [&] {
    Matrix<double> out;
    relu(x, out);
    return (out.array() * c.array()).sum();
  };
  CHECK(relative_error(dx, finite_difference(x, loss, 1e-7)) < 1e-6);
}

TEST_CASE("relu may work in place") {
  Matrix<float> x = random_matrix<float>(3, 4, 1), y, dy = random_matrix<float>(3, 4, 2), dx;
  relu(x, y);
  relu_backward(y, dy, dx);
  relu(x, x);
  relu_backward(x, dy, dy);
  CHECK(same_bits(x, y));
  CHECK(same_bits(dy, dx));
  CHECK_THROWS_AS(relu_backward(x, random_matrix<float>(3, 5, 1), dx), ShapeError);
}

TEST_CASE("relu writes to the caller's memory, but not over a part of its input") {
  const Matrix<float> x = random_matrix<float>(4, 21, 1), dy = random_matrix<float>(4, 21, 2);
  Matrix<float> y, dx;
  relu(x, y);
  relu_backward(y, dy, dx);
  check_output<float>(y, [&](Output<float> out) { relu(x, out); });
  check_output<float>(dx, [&](Output<float> out) { relu_backward(y, dy, out); });
  check_partial_overlap_refused<float>(
      4, 21, [](ConstMatrixRef<float> in, Output<float> out) { relu<float>(in, out); });
  check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
    relu_backward<float>(y, in, out);
  });
  check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
    relu_backward<float>(in, dy, out);
  });
}

TEST_CASE("a residual block's relu adds, and goes back with both branches") {
  const Matrix<double> x = random_matrix<double>(5, 7, 11), start = random_matrix<double>(5, 7, 12);
  Matrix<double> y = start;
  add_and_relu<double>(x, y);
  const Matrix<double> gradient = random_matrix<double>(5, 7, 13);
  Matrix<double> dy = gradient;
  add_and_relu_backward<double>(y, x, dy);
  for (Index i = 0; i < 5; ++i)
    for (Index j = 0; j < 7; ++j) {
      CHECK(y(i, j) == std::max(0.0, start(i, j) + x(i, j)));
      CHECK(dy(i, j) == (y(i, j) > 0 ? gradient(i, j) + x(i, j) : 0));
    }
  Matrix<double> small(4, 7);
  CHECK_THROWS_AS(add_and_relu_backward<double>(y, x, small), ShapeError);
}
