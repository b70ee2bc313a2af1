#include <lora/peft/name_pattern.hpp>

#include <lora/io/json.hpp>
#include <set>

#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("patterns match as Python's re does") {
  const std::string path = LORA_GOLDEN_DIR "/io/patterns.json";
  // What Python knows and this library refuses.
  const std::set<std::string> not_built{"(?P<n>a)", "(?#c)", "(a)\\1", "\\A",   "a{",
                                        "{",        "a\\Z",  "a++",    "\\x41", "\\u00e9"};
  int refused = 0, compared = 0;
  for (const Json& row : parse_json(read_whole(path), path)) {
    const auto text = row.at(0).get<std::string>();
    CAPTURE(text);
    if (row.at(1) == "error" || not_built.contains(text)) {
      CHECK_THROWS_AS(NamePattern(text), ConfigError);
      refused += row.at(1) != "error";
      continue;
    }
    const NamePattern pattern(text);
    for (const Json& expected : row.at(1)) {
      const auto name = expected.at(0).get<std::string>();
      CAPTURE(name);
      CHECK(pattern.matches(name) == expected.at(1).get<bool>());
      CHECK(pattern.matches_end(name) == expected.at(2).get<bool>());
      ++compared;
    }
  }
  CHECK(refused == static_cast<int>(not_built.size()));
  CHECK(compared > 5000);
}

TEST_CASE("a pattern that makes others take exponential time takes none") {
  const std::string name(2000, 'a');
  for (const char* text : {"(a*)*b", "(a|a)*b", "(a?){500}b", "((a*)*)*b", "(.*)*(.*)*b",
                           "(?=(a*)*b)(a|b)*", "(?:(?=(?=(a*)*b)a*b)a)*b", "(a*)*b(?<=ab)?"}) {
    CHECK(!NamePattern(text).matches(name));
    CHECK(NamePattern(text).matches(name.substr(0, 400) + "b"));
  }
}

TEST_CASE("ends_from tells where matches end") {
  const NamePattern pattern("a(b|bc)?");
  CHECK(pattern.ends_from("xabcd", 1) == std::vector<std::size_t>{2, 3, 4});
  CHECK(pattern.ends_from("xabcd", 0).empty());
  CHECK(NamePattern("^a").ends_from("aa", 1).empty());
}
