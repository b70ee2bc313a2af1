#include <lora/models/common/token_tape.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("a model's tape is empty, counts and goes on as its tape of frames does") {
  models::TokenTape<float> tape(3);
  CHECK(tape.empty());
  CHECK(tape.random_state().stream == 3);
  CHECK(tape.bytes() == 0);
  static_cast<void>(tape.frames.push(&tape, "model", 2).keep(2, 5));
  CHECK(!tape.empty());
  CHECK(tape.bytes_kept() == 10 * sizeof(float));
  static_cast<void>(tape.again.push(&tape, "block", 1).keep(1, 5));
  CHECK(tape.bytes() == 15 * sizeof(float));
  const auto before = tape.random_state();
  tape.clear();
  CHECK(tape.empty());
  CHECK(!(tape.random_state() == before));
  tape.set_random_state(before);
  CHECK(tape.random_state() == before);
}
