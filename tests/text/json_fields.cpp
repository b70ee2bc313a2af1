#include <lora/text/json_fields.hpp>

#include <string>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;
using namespace std::string_literals;

TEST_CASE("fields are read by name and kind") {
  const io::Json json = io::parse_json(
      R"({"o": {"n": 7}, "a": [1], "s": "x", "t": true, "null": null, "max": 2147483647})", "f");
  const JsonFields fields(json, "f");
  CHECK(fields.object("o").number("n") == 7);
  CHECK(fields.object("o").where() == "f, o");
  CHECK(fields.array("a").size() == 1);
  CHECK(fields.string("s") == "x");
  CHECK(fields.boolean("t") == true);
  CHECK_FALSE(fields.boolean("null").has_value());
  CHECK(fields.find("null") == nullptr);
  CHECK(fields.find("none") == nullptr);
  CHECK(fields.boolean_or("none", true));
  CHECK(fields.boolean_or("t", false));
  CHECK(fields.number("max") == 2147483647);
}

TEST_CASE("a field that is missing, or of another kind, is named with its place") {
  const io::Json json =
      io::parse_json(R"({"s": 3, "b": "yes", "o": {}, "n": -1, "big": 2147483648, "f": 1.0,
                         "null": null})",
                     "f");
  const JsonFields fields(json, "f");
  CHECK_THROWS_WITH(fields.at("x"), "f: lacks x");
  CHECK_THROWS_WITH(fields.at("null"), "f: lacks null");
  CHECK_THROWS_WITH(fields.object("o").at("x"), "f, o: lacks x");
  CHECK_THROWS_WITH(fields.string("s"), "f: s is not a string");
  CHECK_THROWS_WITH(fields.array("s"), "f: s is not a list");
  CHECK_THROWS_WITH(fields.object("s"), "f, s: is not a JSON object");
  CHECK_THROWS_WITH(fields.boolean("b"), "f: b is \"yes\", expected true or false");
  CHECK_THROWS_WITH(fields.boolean_or("null", true), "f: null is null, expected true or false");
  for (const char* key : {"n", "big", "f", "b"})
    CHECK_THROWS_WITH(fields.number(key), "f: "s + key + " is not an integer from 0 to 2147483647");
  CHECK_THROWS_AS(JsonFields(io::Json::array(), "f"), FileError);
}

TEST_CASE("keys that come from a file are whole, and printed escaped") {
  const io::Json json = io::parse_json(R"({"a": 1, "\n\u200b": {}})", "f");
  const JsonFields fields(json, "f");
  CHECK(fields.find("a\0b"s) == nullptr);
  CHECK_THROWS_WITH(fields.at("a\0b"s), R"(f: lacks a\x00b)");
  CHECK(fields.object("\n\u200B").where() == R"(f, \n\u200b)");
}
