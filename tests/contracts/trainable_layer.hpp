#pragma once

#include <lora/core/parameter_list.hpp>
#include <lora/core/tape.hpp>
#include <lora/kernels/panels.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

namespace lora::test {

/// Checks every gradient of `layer` (double) on n tokens against finite differences of the loss
/// sum(y * c), to 1e-6 relative. The tape's random state is set back before each forward, so a
/// layer with dropout computes the same function each time.
template <class Layer>
void check_gradients(Layer& layer, Index n, std::uint64_t seed) {
  Matrix<double> x = random_matrix<double>(n, layer.in_features(), seed);
  const Matrix<double> c = random_matrix<double>(n, layer.out_features(), seed + 1);
  Tape<double> tape;
  const auto state = tape.random_state();
  Matrix<double> y, dx;
  const auto loss = [&] {
    Tape<double> fresh;
    fresh.set_random_state(state);
    layer.forward(x, fresh, y);
    return (y.array() * c.array()).sum();
  };

  zero_grad(layer.parameters());
  layer.forward(x, tape, y);
  layer.backward(x, c, tape, dx);
  CHECK(tape.empty());
  CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
  std::vector<Matrix<double>> once;
  for (Parameter<double>* parameter : layer.parameters()) {
    CAPTURE(parameter->name);
    CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-6);
    once.push_back(parameter->grad);
  }

  // Without dx the same gradients come, and they accumulate.
  tape.set_random_state(state);
  layer.forward(x, tape, y);
  layer.backward(x, c, tape);
  std::size_t i = 0;
  for (Parameter<double>* parameter : layer.parameters())
    CHECK(largest_difference(parameter->grad, 2 * once[i++]) <= Tolerance<double>(n, 10).value);
  zero_grad(layer.parameters());
}

/// Checks that shapes that do not fit throw before anything changes: output, tape, gradients.
template <class Layer>
void check_bad_shapes(Layer& layer) {
  using T = typename Layer::Scalar;
  const Index in = layer.in_features(), out = layer.out_features(), n = 3;
  const Matrix<T> x = random_matrix<T>(n, in, 1), dy = random_matrix<T>(n, out, 2);
  const Matrix<T> sentinel = Matrix<T>::Constant(2, 2, T(5));
  Matrix<T> y = sentinel, dx = sentinel;
  Tape<T> tape;
  const auto unchanged = [&] {
    bool all = same_bits(y, sentinel) && same_bits(dx, sentinel);
    for (const Parameter<T>* parameter : layer.parameters())
      all = all && (parameter->grad.array() == T(0)).all();
    return all;
  };
  zero_grad(layer.parameters());
  const Matrix<T> wide_x = random_matrix<T>(n, in + 1, 1);
  CHECK_THROWS_AS(layer.forward(wide_x, y), ShapeError);
  CHECK_THROWS_AS(layer.forward(wide_x, tape, y), ShapeError);
  CHECK(tape.empty());
  CHECK(unchanged());

  // Backward without a forward.
  CHECK_THROWS_AS(layer.backward(x, dy, tape, dx), StateError);
  CHECK_THROWS_AS(layer.backward(x, dy, tape), StateError);
  Matrix<T> scratch;
  layer.forward(x, tape, scratch);
  CHECK_THROWS_AS(layer.backward(wide_x, dy, tape, dx), ShapeError);
  CHECK_THROWS_AS(layer.backward(x, random_matrix<T>(n, out + 1, 2), tape, dx), ShapeError);
  CHECK_THROWS_AS(layer.backward(x, random_matrix<T>(n + 1, out, 2), tape, dx), ShapeError);
  CHECK_THROWS_AS(
      layer.backward(random_matrix<T>(n + 1, in, 1), random_matrix<T>(n + 1, out, 2), tape, dx),
      ShapeError);
  CHECK(unchanged());
  // The tape still holds the forward, whose backward now works.
  layer.backward(x, dy, tape, dx);
  CHECK(tape.empty());
  zero_grad(layer.parameters());
}

/// Checks that forward, backward and inference allocate nothing in the second step.
template <class Layer>
void check_second_step_allocates_nothing(Layer& layer, Index n) {
  using T = typename Layer::Scalar;
  const Matrix<T> x = random_matrix<T>(n, layer.in_features(), 1);
  const Matrix<T> dy = random_matrix<T>(n, layer.out_features(), 2);
  Tape<T> tape;
  Matrix<T> y, dx, inferred;
  const auto step = [&] {
    zero_grad(layer.parameters());
    layer.forward(x, tape, y);
    layer.backward(x, dy, tape, dx);
    layer.forward(x, tape, y);
    layer.backward(x, dy, tape);
    layer.forward(x, inferred);
  };
  const Threads threads(countable_threads(2));
  step();
  // A BLAS behind Eigen takes memory as it likes.
  if (!kernels::blas_multiplies) CHECK(allocations_of(step).count == 0);
}

/// Checks that 1, 2 and 3 threads give the same bits in outputs and gradients.
template <class Layer>
void check_thread_independence(Layer& layer, Index n) {
  using T = typename Layer::Scalar;
  const Matrix<T> x = random_matrix<T>(n, layer.in_features(), 1);
  const Matrix<T> dy = random_matrix<T>(n, layer.out_features(), 2);
  Matrix<T> y_one, dx_one;
  std::vector<Matrix<T>> grads_one;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    Tape<T> tape;
    Matrix<T> y, dx;
    zero_grad(layer.parameters());
    layer.forward(x, tape, y);
    layer.backward(x, dy, tape, dx);
    if (count == 1) {
      y_one = y;
      dx_one = dx;
      for (const Parameter<T>* parameter : layer.parameters()) grads_one.push_back(parameter->grad);
    }
    CHECK(same_bits(y, y_one));
    CHECK(same_bits(dx, dx_one));
    std::size_t i = 0;
    for (const Parameter<T>* parameter : layer.parameters())
      CHECK(same_bits(parameter->grad, grads_one[i++]));
  }
  zero_grad(layer.parameters());
}

}  // namespace lora::test
