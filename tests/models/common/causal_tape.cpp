#include <lora/models/common/causal_tape.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("a causal tape knows its stream, counts its memory and forgets a pass") {
  models::CausalTape<float> tape(5);
  CHECK(tape.random_state().stream == 5);
  CHECK(tape.empty());
  static_cast<void>(tape.frames.push(&tape, "layer", 2).keep(2, 3));
  static_cast<void>(tape.again.push(&tape, "layer", 2).keep(1, 3));
  CHECK(!tape.empty());
  CHECK(tape.bytes_kept() == 6 * sizeof(float));
  CHECK(tape.bytes() == 9 * sizeof(float));
  tape.clear();
  CHECK(tape.empty());
  CHECK(tape.bytes_kept() == 6 * sizeof(float));
  tape.set_random_state({1, 2});
  CHECK(tape.random_state().step == 2);
}
