#include <lora/models/common/image_tape.hpp>

#include "support/catch.hpp"

TEST_CASE("a tape of images forgets what no backward follows") {
  lora::models::ImageTape<float> tape(3);
  CHECK(tape.empty());
  static_cast<void>(tape.frames.push(&tape, "a layer", 2));
  CHECK(!tape.empty());
  tape.clear();
  CHECK(tape.empty());
  CHECK(tape.frames.random_state().stream == 3);
}
