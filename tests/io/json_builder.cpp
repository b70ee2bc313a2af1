#include <lora/io/json_builder.hpp>

#include "support/throws.hpp"

using namespace lora::io;
using namespace lora::test;

namespace {

Json built(const std::string& text, const JsonRules& rules = {}) {
  const std::string where = "f";
  const JsonKeyObserver on_key;
  lora::io::detail::JsonBuilder builder(where, rules, on_key);
  Json::sax_parse(text, &builder);
  return builder.take();
}

}  // namespace

TEST_CASE("what is built is what nlohmann's own parser builds") {
  for (const std::string text :
       {R"(null)", R"(7)", R"(-7)", R"(18446744073709551615)", R"(1e300)",
        R"("a\u00e9\ud83d\ude00")", R"([])", R"({})",
        R"([[], {}, [[1], 2], {"a": {"b": [null, true, false]}}, "x"])",
        R"({"a": [{"b": 1}, {"b": {"c": []}}], "": {}, "d": -0.5, "b": {"a": 1}})"})
    CHECK(built(text) == Json::parse(text));
}

TEST_CASE("of two equal keys the last counts, or they are refused") {
  const std::string text = R"({"a": {"deep": [1, 2]}, "b": 0, "a": 3})";
  CHECK(built(text, {.repeated_keys = true}) == Json{{"a", 3}, {"b", 0}});
  check_throws<lora::FileError>([&] { static_cast<void>(built(text)); },
                                "f: the key \"a\" stands twice");
}

TEST_CASE("NaN and Infinity are spelled otherwise outside of strings alone") {
  using lora::io::detail::with_finite_spellings;
  CHECK(with_finite_spellings(R"({"NaN": "\"NaN"})") == R"({"NaN": "\"NaN"})");
  CHECK(with_finite_spellings("[NaN,-Infinity]") == "[0.00e-0000999,-0.00e-0000998]");
  CHECK(with_finite_spellings("\"\\") == "\"\\");
}
