#include <lora/nn/gelu.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/golden.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/repeatable.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("gelu's gradient agrees with finite differences") {
  for (const GeluForm form : {GeluForm::exact, GeluForm::tanh}) {
    Matrix<double> x = 4 * random_matrix<double>(7, 5, 1);
    const Matrix<double> c = random_matrix<double>(7, 5, 2);
    Matrix<double> dx;
    gelu_backward(x, c, dx, form);
    const auto loss = [&] {
      Matrix<double> y;
      gelu(x, y, form);
      return (y.array() * c.array()).sum();
    };
    CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
  }
}

TEST_CASE("gelu and its gradient are PyTorch's") {
  const Golden<float> golden("nn_activations_f32");
  const Matrix<float>& x = golden["x"];
  for (const GeluForm form : {GeluForm::exact, GeluForm::tanh}) {
    const std::string name = form == GeluForm::exact ? "gelu" : "gelu_tanh";
    Matrix<float> y, dx;
    gelu(x, y, form);
    gelu_backward(x, golden["dy"], dx, form);
    // A rounding or two of Phi, times x; Phi itself beyond |x| = 5 is 0 or 1.
    CHECK(largest_difference(y, golden[name + "_y"]) <= Tolerance<float>(1, 1).value);
    CHECK(largest_difference(dx, golden[name + "_dx"]) <= Tolerance<float>(1, 2).value);
    CHECK(y(1, 25) == 100);
    CHECK(y(1, 26) == 0);
    CHECK(dx(1, 26) == 0);
  }
}

TEST_CASE("gelu stays finite where its argument's square or cube does not") {
  Matrix<float> x(1, 4), y, dx;
  x << 1e15F, -1e15F, 1e10F, -1e10F;
  const Matrix<float> dy = Matrix<float>::Ones(1, 4);
  for (const GeluForm form : {GeluForm::exact, GeluForm::tanh}) {
    gelu(x, y, form);
    gelu_backward(x, dy, dx, form);
    CHECK(same_bits(y, x.cwiseMax(0.0F)));
    CHECK(same_bits(dx, (x.array() > 0).cast<float>().matrix()));
  }
}

TEST_CASE("gelu may work in place, refuses shapes that differ, and takes no rows") {
  const Matrix<float> x = random_matrix<float>(3, 40, 1), dy = random_matrix<float>(3, 40, 2);
  Matrix<float> y, dx, a = x, b = dy;
  gelu(x, y);
  gelu_backward(x, dy, dx);
  gelu(a, a);
  gelu_backward(x, b, b);
  CHECK(same_bits(a, y));
  CHECK(same_bits(b, dx));
  CHECK_THROWS_AS(gelu_backward(x, random_matrix<float>(3, 41, 2), dx), ShapeError);
  CHECK(dx.cols() == 40);
  gelu(Matrix<float>(0, 5), y);
  CHECK((y.rows() == 0 && y.cols() == 5));
}

TEST_CASE("gelu gives the same bits for any number of threads and allocates nothing again") {
  const Matrix<float> x = 3 * random_matrix<float>(300, 301, 1);
  const Matrix<float> dy = random_matrix<float>(300, 301, 2);
  Matrix<float> y, dx;
  check_repeatable<float>(
      [&] {
        gelu(x, y);
        gelu_backward(x, dy, dx);
      },
      y, dx);
}

TEST_CASE("gelu writes to the caller's memory, but not over a part of its input") {
  const Matrix<float> x = random_matrix<float>(4, 21, 1), dy = random_matrix<float>(4, 21, 2);
  Matrix<float> y, dx;
  gelu(x, y);
  gelu_backward(x, dy, dx);
  check_output<float>(y, [&](Output<float> out) { gelu(x, out); });
  check_output<float>(dx, [&](Output<float> out) { gelu_backward(x, dy, out); });
  check_partial_overlap_refused<float>(
      4, 21, [](ConstMatrixRef<float> in, Output<float> out) { gelu<float>(in, out); });
  check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
    gelu_backward<float>(x, in, out);
  });
  check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
    gelu_backward<float>(in, dy, out);
  });
}
