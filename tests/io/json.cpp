#include <lora/io/json.hpp>

#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("parse_json reads one value and tells the keys in their order") {
  std::string keys;
  const Json value = parse_json(
      R"({"b": [1, 2.5], "a": {"z": null, "y": "é"}})", "f", {},
      [&](std::size_t depth, const std::string& key) { keys += message(depth, key, " "); });
  CHECK(value.at("b").at(1) == 2.5);
  CHECK(value.at("a").at("y") == "é");
  CHECK(keys == "1b 1a 2z 2y ");
}

TEST_CASE("parse_json refuses what is not JSON, and more than the limits") {
  const auto refused = [](const std::string& text, const std::string& why) {
    CAPTURE(text);
    check_throws<FileError>([&] { static_cast<void>(parse_json(text, "f.json", {.depth = 3})); },
                            why);
    check_throws<FileError>([&] { static_cast<void>(parse_json(text, "f.json", {.depth = 3})); },
                            "f.json: ");
  };
  for (const char* text : {"", " ", "{", "[1,]", "{\"a\":1} x", "{a: 1}", "nul", "1e999",
                           "\"\xff\"", "NaN", "Infinity", "\"\x01\"", "{\"a\":1,}", "// no\n1"})
    refused(text, "not valid JSON");
  refused(R"({"a": 1, "a": 2})", "the key \"a\" stands twice");
  refused(R"({"b": {"a": 1, "c": 0, "a": 2}})", "the key \"a\" stands twice");
  refused("[[[[]]]]", "deeper than 3 levels");
  refused(std::string(1'000'000, '['), "deeper than 3 levels");
  CHECK(parse_json(R"([{"a": 1}, {"a": 2}])", "f").size() == 2);
}

TEST_CASE("is_text compares a value with a string, and nothing else is one") {
  CHECK(is_text(Json("LORA"), "LORA"));
  CHECK(is_text(Json(""), ""));
  CHECK_FALSE(is_text(Json("LORA"), "lora"));
  CHECK_FALSE(is_text(Json("LORA"), "LOR"));
  for (const Json& other : {Json(), Json(1), Json(true), Json::array({"LORA"})})
    CHECK_FALSE(is_text(other, "LORA"));
}

TEST_CASE("what is said of a text that is not JSON is short") {
  try {
    static_cast<void>(parse_json("{\"" + std::string(1'000'000, 'x'), "f"));
    FAIL("accepted");
  } catch (const FileError& error) {
    CHECK(std::string(error.what()).size() < 400);
  }
}

TEST_CASE("quoted escapes, and refuses what is not UTF-8") {
  CHECK(quoted("a\"b\n", "f") == "\"a\\\"b\\n\"");
  check_throws<FileError>([] { static_cast<void>(quoted("\xC3", "f.x")); }, "f.x: ");
}

TEST_CASE("excerpt keeps messages short") {
  CHECK(excerpt(Json(7)) == "7");
  CHECK(excerpt(Json("abc")) == "\"abc\"");
  CHECK(excerpt(Json(std::string(1000, 'x'))).size() < 100);
  CHECK(excerpt(Json(std::vector<int>(1000, 1))) == "1000 elements");
}
