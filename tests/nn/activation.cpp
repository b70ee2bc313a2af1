#include <lora/nn/activation.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("an activation is the function of its name") {
  const Matrix<double> x = random_matrix<double>(7, 5, 1);
  Matrix<double> y, expected;
  const auto check = [&](Activation f) {
    activate<double>(f, x, y);
    CHECK(same_bits(y, expected));
    Matrix<double> in_place = x;
    activate<double>(f, in_place, in_place);
    CHECK(same_bits(in_place, expected));
  };
  gelu<double>(x, expected);
  check(Activation::gelu);
  gelu<double>(x, expected, GeluForm::tanh);
  check(Activation::gelu_tanh);
  relu<double>(x, expected);
  check(Activation::relu);
  silu<double>(x, expected);
  check(Activation::silu);
  tanh_activation<double>(x, expected);
  check(Activation::tanh);
}

TEST_CASE("an activation's gradient needs its input or its output, and is that of differences") {
  Matrix<double> x = random_matrix<double>(7, 5, 1);
  const Matrix<double> c = random_matrix<double>(7, 5, 2);
  for (const Activation f : {Activation::gelu, Activation::gelu_tanh, Activation::relu,
                             Activation::silu, Activation::tanh}) {
    Matrix<double> y, dx;
    activate<double>(f, x, y);
    const Matrix<double> nothing = Matrix<double>::Constant(7, 5, std::nan(""));
    if (needs_output(f))
      activate_backward<double>(f, nothing, y, c, dx);
    else
      activate_backward<double>(f, x, nothing, c, dx);
    const auto loss = [&] {
      Matrix<double> out;
      activate<double>(f, x, out);
      return (out.array() * c.array()).sum();
    };
    CHECK(relative_error(dx, finite_difference(x, loss, 1e-6)) < 1e-6);
    Matrix<double> dy = c;
    activate_backward<double>(f, x, y, dy, dy);
    CHECK(same_bits(dy, dx));
  }
}

TEST_CASE("an activation writes to the caller's memory, but not over a part of its input") {
  const Matrix<float> x = random_matrix<float>(4, 21, 1), dy = random_matrix<float>(4, 21, 2);
  for (const Activation f : {Activation::gelu, Activation::gelu_tanh, Activation::relu,
                             Activation::silu, Activation::tanh}) {
    Matrix<float> y, dx;
    activate<float>(f, x, y);
    activate_backward<float>(f, x, y, dy, dx);
    check_output<float>(y, [&](Output<float> out) { activate<float>(f, x, out); });
    check_output<float>(dx, [&](Output<float> out) { activate_backward<float>(f, x, y, dy, out); });
    check_partial_overlap_refused<float>(
        4, 21, [&](ConstMatrixRef<float> in, Output<float> out) { activate<float>(f, in, out); });
    check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
      activate_backward<float>(f, x, y, in, out);
    });
  }
}
