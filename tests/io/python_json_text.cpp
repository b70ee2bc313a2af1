#include <lora/io/python_json_text.hpp>

#include <limits>
#include <string>

#include <lora/io/json.hpp>

#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("values are written as Python writes them, and read back the same") {
  const std::string text = R"({
  "\u00e9": "\ud83d\ude00\n",
  "a": [],
  "b": {},
  "c": [
    NaN,
    -Infinity,
    {
      "d": Infinity
    }
  ],
  "e": [
    null,
    true,
    -3,
    18446744073709551615,
    0.1,
    1e-07,
    2.0
  ]
})";
  CHECK(python_json_text(parse_json(text, "f", python_json), "f") == text);
  CHECK(python_json_text(Json::array({1}), "f", 1) == "[\n    1\n  ]");
  CHECK(python_json_text(Json(std::numeric_limits<float>::infinity()), "f") == "Infinity");
}

TEST_CASE("strings that are not UTF-8 are refused by file") {
  check_throws<FileError>([] { static_cast<void>(python_json_text(Json("\xFF"), "f.json")); },
                          "f.json: ");
  check_throws<FileError>(
      [] {
        static_cast<void>(python_json_text(Json{{"\xFF", 1}}, "f.json"));
      },
      "f.json: ");
}
