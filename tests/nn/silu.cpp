#include <lora/nn/silu.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/repeatable.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("silu's gradient agrees with finite differences") {
  Matrix<double> x = 4 * random_matrix<double>(7, 5, 1);
  const Matrix<double> c = random_matrix<double>(7, 5, 2);
  Matrix<double> dx;
  silu_backward(x, c, dx);
  const auto loss = [&] {
    Matrix<double> y;
    silu(x, y);
    return (y.array() * c.array()).sum();
  };
  CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
}

TEST_CASE("silu is x / (1 + e^-x), and stays finite where the exponential does not") {
  Matrix<double> x(1, 6), y, dx;
  x << -1000, -2, 0, 1, 30, 1e300;
  silu(x, y);
  const Matrix<double> ones = Matrix<double>::Ones(1, 6);
  silu_backward(x, ones, dx);
  CHECK(y(0, 0) == 0);
  CHECK(std::abs(y(0, 1) - -2 / (1 + std::exp(2.0))) < 1e-15);
  CHECK(y(0, 2) == 0);
  CHECK(std::abs(y(0, 3) - 1 / (1 + std::exp(-1.0))) < 1e-15);
  CHECK(y(0, 5) == 1e300);
  CHECK(dx(0, 0) == 0);
  CHECK(dx(0, 2) == 0.5);
  CHECK(dx(0, 5) == 1);
}

TEST_CASE("silu writes to the caller's memory, its own input too, but not over a part of it") {
  const Matrix<float> x = random_matrix<float>(4, 21, 1), dy = random_matrix<float>(4, 21, 2);
  Matrix<float> y, dx, a = x, b = dy;
  silu(x, y);
  silu_backward(x, dy, dx);
  silu(a, a);
  silu_backward(x, b, b);
  CHECK(same_bits(a, y));
  CHECK(same_bits(b, dx));
  CHECK_THROWS_AS(silu_backward(x, random_matrix<float>(4, 22, 2), dx), ShapeError);
  check_output<float>(y, [&](Output<float> out) { silu(x, out); });
  check_output<float>(dx, [&](Output<float> out) { silu_backward(x, dy, out); });
  check_partial_overlap_refused<float>(
      4, 21, [](ConstMatrixRef<float> in, Output<float> out) { silu<float>(in, out); });
  check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
    silu_backward<float>(x, in, out);
  });
}

TEST_CASE("silu gives the same bits for any number of threads and allocates nothing again") {
  const Matrix<float> x = 3 * random_matrix<float>(300, 301, 1);
  const Matrix<float> dy = random_matrix<float>(300, 301, 2);
  Matrix<float> y, dx;
  check_repeatable<float>(
      [&] {
        silu(x, y);
        silu_backward(x, dy, dx);
      },
      y, dx);
}
