#include <lora/optim/parameter_states.hpp>

#include <optional>
#include <string>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

namespace {

Parameter<float> named(const std::string& name) { return {name, Matrix<float>::Zero(1, 1)}; }

int made() { return 7; }

std::string listed(const ParameterStates<int>& states) {
  std::string text;
  states.for_each(
      "test", [&](const std::string& name, int entry) { text += message(name, '=', entry, ' '); });
  return text;
}

}  // namespace

TEST_CASE("parameters of one name have an entry each, which no list can be made of") {
  ParameterStates<int> states;
  const Parameter<float> first = named("a"), second = named("a");
  states.of(first, made) = 1;
  CHECK(states.of(second, made) == 7);
  CHECK(states.of(first, made) == 1);
  check_throws<ConfigError>([&] { static_cast<void>(listed(states)); },
                            "two parameters are called \"a\"");
}

TEST_CASE("an entry follows its parameter through moves and new names") {
  ParameterStates<int> states;
  Parameter<float> first = named("a");
  states.of(first, made) = 1;
  Parameter<float> moved = std::move(first);
  moved.name = "b";
  CHECK(states.of(moved, made) == 1);
  CHECK(listed(states) == "b=1 ");
}

TEST_CASE("a parameter that is gone leaves nothing to its successor in its memory") {
  ParameterStates<int> states;
  std::optional<Parameter<float>> place(named("a"));
  states.of(*place, made) = 1;
  place.reset();
  CHECK(listed(states).empty());
  place.emplace(named("a"));
  CHECK(states.of(*place, made) == 7);
}

TEST_CASE("what is restored waits under its name for the first parameter that has it") {
  ParameterStates<int> states;
  const Parameter<float> old = named("a"), first = named("a"), second = named("a");
  states.of(old, made) = 1;
  states.restore({{"a", 3}, {"z", 4}});
  CHECK(listed(states) == "a=3 z=4 ");
  CHECK(states.of(first, made) == 3);
  CHECK(states.of(second, made) == 7);
  CHECK(states.of(named("z"), made) == 4);
}
