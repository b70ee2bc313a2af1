#include <lora/text/whitespace.hpp>

#include <string>

#include "support/catch.hpp"

using namespace lora::text;

TEST_CASE("white space of any script is taken from the end, and from nowhere else") {
  CHECK(without_trailing_whitespace("") == "");
  CHECK(without_trailing_whitespace(" a b") == " a b");
  CHECK(without_trailing_whitespace("a \t\r\n\v\f") == "a");
  CHECK(without_trailing_whitespace("é\u00A0\u0085\u1680\u2009\u2028\u202F\u3000") == "é");
  CHECK(without_trailing_whitespace(" \u00A0 ") == "");
}

TEST_CASE("what is invisible but no white space stays") {
  CHECK(without_trailing_whitespace("a\u200B") == "a\u200B");
  CHECK(without_trailing_whitespace("a\uFEFF ") == "a\uFEFF");
  CHECK(without_trailing_whitespace(std::string("a\0", 2)) == std::string("a\0", 2));
}
