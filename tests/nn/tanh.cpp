#include <lora/nn/tanh.hpp>

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

TEST_CASE("tanh_activation's gradient agrees with finite differences") {
  Matrix<double> x = 2 * random_matrix<double>(7, 5, 1), y, dx;
  const Matrix<double> c = random_matrix<double>(7, 5, 2);
  tanh_activation(x, y);
  tanh_activation_backward(y, c, dx);
  const auto loss = [&] {
    Matrix<double> out;
    tanh_activation(x, out);
    return (out.array() * c.array()).sum();
  };
  CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
}

TEST_CASE("tanh_activation and its gradient are PyTorch's") {
  const Golden<float> golden("nn_activations_f32");
  Matrix<float> y, dx;
  tanh_activation(golden["x"], y);
  tanh_activation_backward(y, golden["dy"], dx);
  CHECK(largest_difference(y, golden["tanh_y"]) <= Tolerance<float>(1).value);
  CHECK(largest_difference(dx, golden["tanh_dx"]) <= Tolerance<float>(1, 3).value);
}

TEST_CASE("tanh_activation may work in place, refuses bad shapes, allocates nothing again") {
  const Matrix<float> x = random_matrix<float>(200, 301, 1), dy = random_matrix<float>(200, 301, 2);
  Matrix<float> y, dx, a = x, b = dy;
  {
    const Threads one(1);
    tanh_activation(x, y);
    tanh_activation_backward(y, dy, dx);
  }
  const auto step = [&] {
    a = x;
    b = dy;
    tanh_activation(a, a);
    tanh_activation_backward(a, b, b);
  };
  {
    const Threads two(2);
    step();
  }
  const Threads countable(countable_threads(2));
  CHECK(same_bits(a, y));
  step();
  CHECK(allocations_of(step).count == 0);
  CHECK(same_bits(a, y));
  CHECK(same_bits(b, dx));
  CHECK_THROWS_AS(tanh_activation_backward(y, random_matrix<float>(3, 5, 1), dx), ShapeError);
}

TEST_CASE("tanh_activation writes to the caller's memory, but not over a part of its input") {
  const Matrix<float> x = random_matrix<float>(4, 21, 1), dy = random_matrix<float>(4, 21, 2);
  Matrix<float> y, dx;
  tanh_activation(x, y);
  tanh_activation_backward(y, dy, dx);
  check_output<float>(y, [&](Output<float> out) { tanh_activation(x, out); });
  check_output<float>(dx, [&](Output<float> out) { tanh_activation_backward(y, dy, out); });
  check_partial_overlap_refused<float>(
      4, 21, [](ConstMatrixRef<float> in, Output<float> out) { tanh_activation<float>(in, out); });
  check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
    tanh_activation_backward<float>(y, in, out);
  });
  check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
    tanh_activation_backward<float>(in, dy, out);
  });
}
