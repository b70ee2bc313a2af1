#include <lora/core/tape.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("a tape gives frames back in reverse order and keeps their memory") {
  Tape<float> tape;
  const int first = 0, second = 0;
  CHECK(tape.empty());
  tape.push(&first, 2).keep(3).setConstant(1);
  tape.push(&second, 4).keep(5).setConstant(2);
  CHECK(tape.top(&second, 4, "here").kept().sum() == 40);
  CHECK_THROWS_AS(tape.top(&first, 2, "here"), StateError);
  CHECK_THROWS_AS(tape.top(&second, 3, "here"), ShapeError);
  tape.pop();
  CHECK(tape.top(&first, 2, "here").kept().sum() == 6);
  tape.pop();
  CHECK(tape.empty());
  CHECK_THROWS_WITH(tape.top(&first, 2, "Layer::backward"),
                    "Layer::backward: the tape is empty: run forward(x, tape, y) first");
  CHECK(tape.bytes() >= 26 * sizeof(float));
  // An abandoned step leaves nothing behind.
  static_cast<void>(tape.push(&first, 2));
  tape.clear();
  CHECK(tape.empty());
}

TEST_CASE("every forward of a tape has a number of its own, and the state can be set back") {
  Tape<double> tape(3);
  CHECK(tape.random_state().stream == 3);
  const auto a = tape.push(nullptr, 1).step;
  const auto state = tape.random_state();
  const auto b = tape.push(nullptr, 1).step;
  CHECK(a != b);
  tape.clear();
  tape.set_random_state(state);
  CHECK(tape.push(nullptr, 1).step == b);
}
