#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <lora/core/gradients.hpp>
#include <lora/core/parameter_list.hpp>
#include <lora/core/tape.hpp>
#include <lora/core/thread_limit.hpp>
#include <lora/kernels/panels.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
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
  const ParameterList<T> parameters = layer.parameters();
  const auto step = [&] {
    zero_grad(parameters);
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

/// Checks that outputs may lie in memory of the caller's, beside which nothing is touched, that
/// inputs may be blocks, and that memory of another shape is refused.
template <class Layer>
void check_callers_memory(Layer& layer, Index n) {
  using T = typename Layer::Scalar;
  const Index in = layer.in_features(), out = layer.out_features();
  const Matrix<T> x = random_matrix<T>(n, in, 1), dy = random_matrix<T>(n, out, 2);
  Tape<T> tape;
  const auto state = tape.random_state();
  Matrix<T> inferred, y, dx;
  layer.forward(x, inferred);
  layer.forward(x, tape, y);
  layer.backward(x, dy, tape, dx);

  Matrix<T> wide_x = Matrix<T>::Zero(n, in + 3);
  wide_x.rightCols(in) = x;
  Matrix<T> memory(n + 2, out + 5), dx_memory(n, in);
  const auto is_only_changed_to = [&](const Matrix<T>& expected) {
    CHECK(largest_difference(memory.block(1, 2, n, out), expected) <= Tolerance<T>(in, 4).value);
    memory.block(1, 2, n, out).setConstant(T(7));
    CHECK((memory.array() == T(7)).all());
  };
  memory.setConstant(T(7));
  layer.forward(wide_x.rightCols(in), memory.block(1, 2, n, out));
  is_only_changed_to(inferred);
  tape.set_random_state(state);
  layer.forward(wide_x.rightCols(in), tape, memory.block(1, 2, n, out));
  is_only_changed_to(y);
  layer.backward(wide_x.rightCols(in), dy, tape, MatrixRef<T>(dx_memory));
  CHECK(largest_difference(dx_memory, dx) <= Tolerance<T>(out, 4).value);

  CHECK_THROWS_AS(layer.forward(x, memory.topRows(n)), ShapeError);
  CHECK_THROWS_AS(layer.forward(x, tape, memory.topRows(n)), ShapeError);
  CHECK(tape.empty());
  is_only_changed_to(Matrix<T>::Constant(n, out, T(7)));
  layer.forward(x, tape, y);
  zero_grad(layer.parameters());
  CHECK_THROWS_AS(layer.backward(x, dy, tape, dx_memory.leftCols(in - 1)), ShapeError);
  for (const Parameter<T>* parameter : layer.parameters()) CHECK(parameter->grad.isZero(0));
  layer.backward(x, dy, tape, dx_memory.leftCols(in));
  zero_grad(layer.parameters());
}

/// Checks that an output that lies over a part of an input is refused, before anything changes.
template <class Layer>
void check_overlap_refused(Layer& layer, Index n) {
  using T = typename Layer::Scalar;
  const Index in = layer.in_features(), out = layer.out_features();
  Matrix<T> memory = random_matrix<T>(n, std::max(in, out) + 1, 1);
  const Matrix<T> before = memory;
  const auto x = memory.leftCols(in), dy = memory.leftCols(out);
  Tape<T> tape;
  CHECK_THROWS_AS(layer.forward(x, memory.rightCols(out)), ShapeError);
  CHECK_THROWS_AS(layer.forward(x, tape, memory.rightCols(out)), ShapeError);
  CHECK(tape.empty());
  Matrix<T> y;
  zero_grad(layer.parameters());
  layer.forward(x, tape, y);
  CHECK_THROWS_AS(layer.backward(x, dy, tape, memory.rightCols(in)), ShapeError);
  // A matrix that would be resized under its own view.
  if (in != out) CHECK_THROWS_AS(layer.backward(x, y, tape, y), ShapeError);
  CHECK(same_bits(memory, before));
  for (const Parameter<T>* parameter : layer.parameters()) CHECK(parameter->grad.isZero(0));
  layer.backward(x, dy, tape);
  zero_grad(layer.parameters());
}

/// Checks that gradients outside of a const layer are those that it would have added to its own.
template <class Layer>
void check_outside_gradients(Layer& layer, Index n) {
  using T = typename Layer::Scalar;
  const Matrix<T> x = random_matrix<T>(n, layer.in_features(), 1);
  const Matrix<T> dy = random_matrix<T>(n, layer.out_features(), 2);
  const ParameterList<T> parameters = layer.parameters();
  Tape<T> tape;
  const auto state = tape.random_state();
  Matrix<T> y, dx, dx_outside;
  zero_grad(parameters);
  layer.forward(x, tape, y);
  layer.backward(x, dy, tape, dx);
  std::vector<Matrix<T>> own;
  for (const Parameter<T>* parameter : parameters) own.push_back(parameter->grad);
  zero_grad(parameters);

  const Layer& constant = layer;
  Gradients<T> gradients(parameters);
  for (const int times : {1, 2}) {
    tape.set_random_state(state);
    constant.forward(x, tape, y);
    if (times == 1)
      constant.backward(x, dy, tape, gradients, dx_outside);
    else
      constant.backward(x, dy, tape, gradients);
    CHECK(tape.empty());
    CHECK(same_bits(dx_outside, dx));
    std::size_t i = 0;
    for (const Parameter<T>* parameter : parameters) {
      CHECK(parameter->grad.isZero(0));
      CHECK(largest_difference(gradients.of(*parameter), times * own[i++]) <=
            Tolerance<T>(n, 4).value);
    }
  }

  // Gradients of another layer's parameters are refused, and the forward can still go back.
  if (parameters.empty()) return;
  Gradients<T> none{ParameterList<T>()};
  constant.forward(x, tape, y);
  dx_outside.setZero();
  CHECK_THROWS_AS(constant.backward(x, dy, tape, none, dx_outside), StateError);
  CHECK_THROWS_AS(constant.backward(x, dy, tape, none), StateError);
  CHECK(dx_outside.isZero(0));
  constant.backward(x, dy, tape, gradients);
}

/// Checks that backward refuses an x that was changed since the forward, naming the layer.
template <class Layer>
void check_input_is_remembered(Layer& layer, Index n) {
  using T = typename Layer::Scalar;
  layer.set_name("encoder.q");
  CHECK(layer.name() == "encoder.q");
  Matrix<T> x = random_matrix<T>(n, layer.in_features(), 1), y, dx;
  const Matrix<T> dy = random_matrix<T>(n, layer.out_features(), 2);
  Tape<T> tape;
  zero_grad(layer.parameters());
  layer.forward(x, tape, y);
  const T before = std::exchange(x(0, 0), T(9));
  check_throws<StateError>([&] { layer.backward(x, dy, tape, dx); }, "encoder.q (");
  check_throws<StateError>([&] { layer.backward(x, dy, tape); }, "elements of x");
  CHECK(dx.size() == 0);
  for (const Parameter<T>* parameter : layer.parameters()) CHECK(parameter->grad.isZero(0));
  x(0, 0) = before;
  layer.backward(x, dy, tape, dx);
  CHECK(tape.empty());
  zero_grad(layer.parameters());
}

/// Checks that two threads may train one layer at once: each on a part of the batch, with a tape
/// and gradients of its own, which are summed in order. Run it under the thread sanitizer.
template <class Layer>
void check_two_threads_train(Layer& layer, Index n) {
  using T = typename Layer::Scalar;
  const ParameterList<T> parameters = layer.parameters();
  const Layer& shared = layer;
  const Matrix<T> x = random_matrix<T>(2 * n, layer.in_features(), 1);
  const Matrix<T> dy = random_matrix<T>(2 * n, layer.out_features(), 2);
  struct Part {
    Tape<T> tape;
    Gradients<T> gradients;
    Matrix<T> y, dx;
  };
  const auto run = [&](std::size_t p, Part& part) {
    const ThreadLimit alone(1);
    const auto rows = [&](const Matrix<T>& all) {
      return all.middleRows(static_cast<Index>(p) * n, n);
    };
    for (int step = 0; step < 3; ++step) {
      shared.forward(rows(x), part.tape, part.y);
      shared.backward(rows(x), rows(dy), part.tape, part.gradients, part.dx);
    }
  };
  const auto parts = [&] {
    return std::array<Part, 2>{Part{Tape<T>(0), Gradients<T>(parameters), {}, {}},
                               Part{Tape<T>(1), Gradients<T>(parameters), {}, {}}};
  };
  auto one = parts(), two = parts();
  for (std::size_t p = 0; p < 2; ++p) run(p, one[p]);
  std::thread first([&] { run(0, two[0]); }), second([&] { run(1, two[1]); });
  first.join();
  second.join();

  std::vector<Matrix<T>> sums;
  for (auto* each : {&one, &two}) {
    zero_grad(parameters);
    for (const Part& part : *each) part.gradients.add_to(parameters);
    std::size_t i = 0;
    for (const Parameter<T>* parameter : parameters)
      if (each == &one)
        sums.push_back(parameter->grad);
      else
        CHECK(same_bits(parameter->grad, sums[i++]));
  }
  for (std::size_t p = 0; p < 2; ++p) {
    CHECK(same_bits(one[p].y, two[p].y));
    CHECK(same_bits(one[p].dx, two[p].dx));
  }
  zero_grad(parameters);
}

}  // namespace lora::test
