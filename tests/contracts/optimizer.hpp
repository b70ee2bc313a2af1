#pragma once

#include <array>

#include <lora/core/parameter_list.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

namespace lora::test {

/// Two named parameters whose gradients are functions of the step.
template <class T>
struct TwoParameters {
  TwoParameters()
      : first("layer.lora_A.weight", random_matrix<T>(3, 5, 1)),
        second("layer.lora_B.weight", random_matrix<T>(4, 3, 2)) {}

  void set_gradients(std::uint64_t step) {
    first.grad = random_matrix<T>(3, 5, 10 + step);
    second.grad = random_matrix<T>(4, 3, 1000 + step);
  }

  Parameter<T> first, second;
};

/// Checks what every optimizer promises: state keyed by name (order and address of parameters are
/// irrelevant), saved and restored exactly, no allocation after the first step, zero rate is no
/// step, and bad settings refused. `make()` builds it.
template <class T, class Make>
void check_optimizer(const Make& make) {
  using Pointers = std::array<Parameter<T>*, 2>;
  TwoParameters<T> straight, reversed, resumed;
  auto one = make();
  auto two = make();
  auto three = make();
  for (std::uint64_t step = 0; step < 6; ++step) {
    straight.set_gradients(step);
    one.step(Pointers{&straight.first, &straight.second});
    reversed.set_gradients(step);
    TwoParameters<T> moved = reversed;  // other addresses at each step
    two.step(Pointers{&moved.second, &moved.first});
    reversed = moved;
    resumed.set_gradients(step);
    auto other = make();
    if (step > 0) other.set_state(three.state());
    other.step(Pointers{&resumed.first, &resumed.second});
    three = other;
  }
  CHECK(same_bits(straight.first.value, reversed.first.value));
  CHECK(same_bits(straight.second.value, reversed.second.value));
  CHECK(same_bits(straight.first.value, resumed.first.value));
  CHECK(same_bits(straight.second.value, resumed.second.value));

  const Pointers pointers{&straight.first, &straight.second};
  CHECK(allocations_of([&] { one.step(pointers); }).count == 0);

  // A parameter that changed its shape under a remembered name is refused.
  if (!one.state().tensors.empty()) {
    Parameter<T> misfit("layer.lora_A.weight", random_matrix<T>(2, 2, 1));
    CHECK_THROWS_AS(one.step(std::array<Parameter<T>*, 1>{&misfit}), ShapeError);
  }
  auto state = one.state();
  state.optimizer = "another";
  CHECK_THROWS_AS(one.set_state(state), StateError);

  const double rate = one.learning_rate();
  for (const double bad : {-1.0, std::nan(""), HUGE_VAL})
    CHECK_THROWS_AS(one.set_learning_rate(bad), ConfigError);
  CHECK(one.learning_rate() == rate);
  one.set_learning_rate(0);
  const Matrix<T> before = straight.first.value;
  one.step(pointers);
  CHECK(same_bits(before, straight.first.value));
}

}  // namespace lora::test
