#include <lora/models/common/causal_tape.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using lora::test::check_throws;

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

TEST_CASE("a causal tape notes the rows that have a next token to predict") {
  models::CausalTape<float> tape;
  tape.batch.assign(std::vector<int>{1, 2, 3, 4, 5}, std::vector<int>{3, 2});
  const std::vector<int> labels{6, -100, 3, 9, 5};
  tape.note_labels(labels, 10, 2, "here");
  CHECK(tape.next == std::vector<int>{-100, 3, -100, 5, -100});
  CHECK(tape.labels == std::vector<int>{3, 5});
  CHECK(tape.labelled == std::vector<Index>{1, 3});
  check_throws<ShapeError>([&] { tape.note_labels(labels, 5, {}, "here"); },
                           "here: label 4 is 5, expected a token in [0, 5) or -100");
  check_throws<ConfigError>([&] { tape.note_labels(labels, 10, 1, "here"); },
                            "here: 2 of the labels count, more than total says");
}
