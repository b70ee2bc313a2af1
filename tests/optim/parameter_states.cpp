#include <lora/optim/parameter_states.hpp>

#include <optional>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

namespace {

using States = ParameterStates<int>;

Parameter<float> make_parameter(const std::string& name) {
  return {name, Matrix<float>::Zero(1, 1)};
}

int& entry(States& states, const Parameter<float>& parameter) {
  return states.of(parameter, [] { return 0; });
}

std::map<std::string, int> all(const States& states) {
  std::map<std::string, int> entries;
  states.for_each("here", [&](const std::string& name, int number) { entries[name] = number; });
  return entries;
}

}  // namespace

TEST_CASE("states are known by the parameter, wherever it moves and whatever it is called") {
  States states;
  auto a = make_parameter("p"), b = make_parameter("p");
  entry(states, a) = 1;
  CHECK(states.knows(a));
  CHECK_FALSE(states.knows(b));
  entry(states, b) = 2;
  const auto moved = std::move(a);
  CHECK(entry(states, moved) == 1);
  CHECK(*states.find(moved) == 1);
  check_throws<ConfigError>([&] { static_cast<void>(all(states)); },
                            "here: two parameters are called \"p\"");
  b.name = "q";
  CHECK(entry(states, b) == 2);
  CHECK(all(states) == std::map<std::string, int>{{"p", 1}, {"q", 2}});
}

TEST_CASE("parameters that were moved from share no state") {
  States states;
  auto a = make_parameter("a"), b = make_parameter("b");
  entry(states, a) = 1;
  entry(states, b) = 2;
  const auto moved = std::move(a), also_moved = std::move(b);
  CHECK_FALSE(states.knows(a));
  entry(states, a) = 3;
  CHECK_FALSE(states.knows(b));
  CHECK(entry(states, moved) == 1);
  CHECK(entry(states, also_moved) == 2);
  CHECK(entry(states, a) == 3);
}

TEST_CASE("a copy of a parameter is another, and so is what takes its place") {
  States states;
  auto a = make_parameter("p");
  entry(states, a) = 1;
  const auto copy = a;
  CHECK(states.find(copy) == nullptr);
  a = make_parameter("p");
  CHECK(states.find(a) == nullptr);
  CHECK(entry(states, a) == 0);
  CHECK(all(states) == std::map<std::string, int>{{"p", 0}});
}

TEST_CASE("nothing is kept of what is gone") {
  States states;
  for (int i = 0; i < 100; ++i) {
    std::optional<Parameter<float>> each(make_parameter("p"));
    entry(states, *each) = i;
    CHECK(all(states).at("p") == i);
    CHECK(states.size() <= 2);
    each.reset();
    CHECK(all(states).empty());
  }
}

TEST_CASE("what is restored waits for the first parameter of its name, or for ever") {
  States states;
  auto gone = make_parameter("p");
  entry(states, gone) = 9;
  states.restore({{"p", 1}, {"never", 2}});
  CHECK(*states.find(gone) == 1);
  CHECK_FALSE(states.knows(gone));
  auto p = make_parameter("p");
  CHECK(*states.find(p) == 1);
  CHECK(entry(states, p) == 1);
  CHECK(states.find(gone) == nullptr);
  entry(states, p) = 5;
  CHECK(all(states) == std::map<std::string, int>{{"never", 2}, {"p", 5}});

  // A copy of the states goes on by itself.
  States copy = states;
  entry(copy, p) = 6;
  CHECK(entry(states, p) == 5);
}
