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

/// Checks that an optimizer knows parameters by identity: two of one name, stepped in turn, move as
/// if each had an optimizer of its own, and are refused where names count.
template <class T, class Make>
void check_identity(const Make& make) {
  Parameter<T> a("lora_A.weight", random_matrix<T>(3, 5, 1));
  Parameter<T> b("lora_A.weight", random_matrix<T>(3, 5, 2));
  Parameter<T> alone_a = a, alone_b = b;
  auto shared = make(), own_a = make(), own_b = make();
  for (std::uint64_t step = 0; step < 4; ++step) {
    a.grad = alone_a.grad = random_matrix<T>(3, 5, 10 + step);
    b.grad = alone_b.grad = random_matrix<T>(3, 5, 20 + step);
    shared.step({&a});
    shared.step({&b});
    own_a.step({&alone_a});
    own_b.step({&alone_b});
  }
  CHECK(same_bits(a.value, alone_a.value));
  CHECK(same_bits(b.value, alone_b.value));
  const Matrix<T> before = a.value;
  CHECK_THROWS_AS(shared.step({&a, &b}), ConfigError);
  CHECK_THROWS_AS(shared.step({&a, &a}), ConfigError);
  CHECK(same_bits(a.value, before));
  if (!own_a.state().tensors.empty()) CHECK_THROWS_AS(shared.state(), ConfigError);

  // A shape that does not fit what was restored is refused, and what was restored waits on.
  if (const auto state = own_a.state(); !state.tensors.empty()) {
    auto restored = make();
    restored.set_state(state);
    Parameter<T> misfit("lora_A.weight", random_matrix<T>(2, 2, 1));
    CHECK_THROWS_AS(restored.step({&misfit}), ShapeError);
    CHECK(restored.state().tensors == state.tensors);
    alone_a.grad = random_matrix<T>(3, 5, 5);
    Parameter<T> resumed = alone_a;
    resumed.grad = alone_a.grad;
    restored.step({&resumed});
    own_a.step({&alone_a});
    CHECK(same_bits(resumed.value, alone_a.value));
  }

  // What takes another's place and name starts anew, and the state is that of what is there.
  Parameter<T> fresh("lora_A.weight", random_matrix<T>(3, 5, 1)), other = fresh;
  alone_a = std::move(fresh);
  alone_a.grad = other.grad = random_matrix<T>(3, 5, 3);
  auto anew = make();
  own_a.step({&alone_a});
  anew.step({&other});
  CHECK(same_bits(alone_a.value, other.value));

  // Settings follow the name that a parameter has now; copies of an optimizer go on by themselves.
  Parameter<T> renamed("x", random_matrix<T>(3, 5, 1));
  auto of_renamed = make();
  for (const char* name : {"x", "layer.lora_B.weight", "x"}) {
    renamed.name = name;
    renamed.grad = random_matrix<T>(3, 5, 6);
    const Matrix<T> before_step = renamed.value;
    auto copy = of_renamed;
    Parameter<T> moved = std::move(renamed);
    of_renamed.step({&moved});
    const Matrix<T> stepped = moved.value;
    moved.value = before_step;
    copy.step({&moved});
    CHECK(same_bits(moved.value, stepped));
    renamed = std::move(moved);
  }
}

/// Checks what every optimizer promises: state keyed by identity, and by name in files (order and
/// address of parameters are irrelevant), saved and restored exactly, no allocation after the first
/// step, zero rate is no step, and bad settings refused. `make()` builds it.
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
    TwoParameters<T> moved = std::move(reversed);  // other addresses at each step
    two.step(Pointers{&moved.second, &moved.first});
    reversed = std::move(moved);
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

  // A parameter of another shape under a restored name is refused, and nothing moves.
  if (!one.state().tensors.empty()) {
    auto restored = make();
    restored.set_state(one.state());
    Parameter<T> misfit("layer.lora_A.weight", random_matrix<T>(2, 2, 1));
    misfit.grad = misfit.value;
    straight.second.grad = straight.second.value;
    const Matrix<T> before = straight.second.value;
    CHECK_THROWS_AS(restored.step(Pointers{&straight.second, &misfit}), ShapeError);
    CHECK(same_bits(straight.second.value, before));
  }
  check_identity<T>(make);
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
