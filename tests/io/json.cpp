#include <lora/io/json.hpp>

#include <cmath>
#include <limits>

#include "support/allocations.hpp"
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
  for (const char* text :
       {"", " ", "{", "[1,]", "{\"a\":1} x", "{a: 1}", "nul", "1e999", "\"\xff\"", "NaN",
        "Infinity", "\"\x01\"", "{\"a\":1,}", "// no\n1", "0.00e-0000999x"})
    refused(text, "not valid JSON");
  refused(R"({"a": 1, "a": 2})", "the key \"a\" stands twice");
  refused(R"({"b": {"a": 1, "c": 0, "a": 2}})", "the key \"a\" stands twice");
  refused("{\"\\u001b\": 1, \"\\u001b\": 2}", "the key \"\\x1b\" stands twice");
  refused("\xEF\xBB\xBF{}", "begins with a byte order mark");
  refused("\"\x1B[31m", "not valid JSON");
  refused("[[[[]]]]", "deeper than 3 levels");
  refused(std::string(1'000'000, '['), "deeper than 3 levels");
  CHECK(parse_json(R"([{"a": 1}, {"a": 2}])", "f").size() == 2);
}

TEST_CASE("what is said of a text that is not JSON is short") {
  try {
    static_cast<void>(parse_json("{\"" + std::string(1'000'000, 'x'), "f"));
    FAIL("accepted");
  } catch (const FileError& error) {
    CHECK(std::string(error.what()).size() < 400);
  }
}

TEST_CASE("what Python writes is read as Python reads it, where that is asked for") {
  const std::string text =
      R"({"a": 1, "n": [NaN, -Infinity, Infinity], "\"NaN": "Infinity \\\"NaN", "a": {"b": 2}, "z": 0.0})";
  const Json value = parse_json(text, "f", python_json);
  CHECK(value.at("a") == Json{{"b", 2}});
  CHECK(std::isnan(value.at("n").at(0).get<double>()));
  CHECK(value.at("n").at(1) == -std::numeric_limits<double>::infinity());
  CHECK(value.at("n").at(2) == std::numeric_limits<double>::infinity());
  CHECK(value.at("\"NaN") == "Infinity \\\"NaN");
  CHECK(value.at("z") == 0.0);
  CHECK(parse_json("NaN", "f", python_json).is_number_float());
  CHECK(parse_json("0.00e-0000999", "f", python_json) == 0.0);
  for (const char* bad : {"-NaN", "NaNs", "Inf", "\"NaN", "{NaN: 1}", "nan"})
    CHECK_THROWS_AS(parse_json(bad, "f", python_json), FileError);
}

TEST_CASE("reading takes work proportional to the text") {
  // Twenty times as many would take hours if each element were looked at again for its neighbours.
  const auto elements = [](std::size_t count) {
    std::string text = R"({"x": [{})";
    for (std::size_t i = 1; i < count; ++i) text += i % 2 == 0 ? ",{}" : ",[]";
    return text + "]}";
  };
  const std::string small = elements(10'000), large = elements(1'000'000);
  const auto taken = [](const std::string& text) {
    return allocations_of([&] { CHECK(parse_json(text, "f").at("x").size() > 1000); });
  };
  const auto few = taken(small), many = taken(large);
  CHECK(many.bytes <= 130 * few.bytes);
  CHECK(many.bytes < 60 * large.size());

  std::string object = "{";
  for (int i = 0; i < 200'000; ++i) object += message(i > 0 ? "," : "", "\"", i, "\":{}");
  CHECK(parse_json(object + "}", "f").size() == 200'000);
}
