#include <lora/train/history.hpp>

#include "support/catch.hpp"

using namespace lora::train;

TEST_CASE("a history adds up the time of its steps and the tokens they read") {
  History history;
  CHECK(history.seconds() == 0);
  CHECK(history.tokens_per_second() == 0);
  history.steps = {{.tokens = 30, .seconds = 0.5}, {.tokens = 10, .seconds = 1.5}};
  CHECK(history.seconds() == 2);
  CHECK(history.tokens_per_second() == 20);
}
