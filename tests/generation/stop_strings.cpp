#include <lora/generation/stop_strings.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace lora;
using lora::generation::StopStrings;

TEST_CASE("a stop ends the text wherever pieces are cut, and none of it is shown") {
  StopStrings stops({"\n\n", "END"});
  CHECK(stops.push("one\n") == "one");
  CHECK(stops.push("two EN") == "\ntwo ");
  CHECK(stops.push("x") == "ENx");
  CHECK(!stops.stopped());
  CHECK(stops.push("aENDb") == "a");
  CHECK(stops.stopped());
  CHECK(stops.push("more").empty());
  CHECK(stops.finish().empty());
}

TEST_CASE("what was held back comes at the end, and the first stop counts") {
  StopStrings held({"abc"});
  CHECK(held.push("xab") == "x");
  CHECK(held.finish() == "ab");
  StopStrings both({"late", "a"});
  CHECK(both.push("1a2late") == "1");
  StopStrings none({});
  CHECK(none.push("text") == "text");
  CHECK_THROWS_AS(StopStrings({""}), ConfigError);
}
