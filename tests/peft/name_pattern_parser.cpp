#include <lora/peft/name_pattern_parser.hpp>

#include <lora/peft/name_pattern.hpp>

#include "support/allocations.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("a construct that is not known is named") {
  const auto refused = [](const std::string& pattern, const std::string& why) {
    check_throws<ConfigError>([&] { static_cast<void>(NamePattern(pattern)); }, why);
  };
  refused("(?P<n>a)", "(?P, a flag, name, comment or reference,");
  refused("(?<n>a)", "(?<n, a flag");
  refused("(?<=a|bc)d", "(?<, a look behind that does not have one length,");
  refused("(?<!a+)d", "(?<, a look behind");
  refused("(?=a", "a ( without its )");
  refused("(?i)a", "(?i,");
  refused("a++", "a possessive quantifier");
  refused("a**", "a repeated quantifier");
  refused("a{x}", "a { that begins no {m,n}");
  refused("a{3,2}", "a {m,n} with m > n");
  refused("*a", "a quantifier of nothing at position 0");
  refused("^*", "a quantifier of nothing");
  refused("(a", "a ( without its )");
  refused("a)", "an unbalanced )");
  refused("[a", "a [ without its ]");
  refused("[z-a]", "a range that ends before it begins");
  refused("[a-\\d]", "a range of more than characters");
  refused("a\\", "a \\ at its end");
  refused("\\1", "the escape \\1");
  refused("\\Z", "the escape \\Z");
  refused("größe++", "a possessive quantifier at position 6");
  refused("\n\x1B(", "the pattern \"\\n\\x1b(\" has");
}

TEST_CASE("a short pattern cannot ask for much memory") {
  for (const std::string& pattern :
       {std::string("a{99999}"), std::string("(a{100}){101}"), std::string("((a{50}){50}){50}"),
        std::string("a{99999999999999999999999}"), std::string("((){9999}){9999}a{10001}"),
        std::string("(?=a{6000})(?=a{6000})"), std::string("(?:(?=a{5000})a{100}){60}"),
        std::string(100'000, '('), std::string(100'001, 'a'), std::string(5'000'000, '|')}) {
    CAPTURE(pattern.substr(0, 20));
    const auto taken = allocations_of([&] { CHECK_THROWS_AS(NamePattern(pattern), ConfigError); });
    CHECK(taken.bytes < 10'000'000);
  }
}

TEST_CASE("a pattern of names may be as long as they are") {
  std::string names = "layer.0";
  for (int i = 1; i < 9'000; ++i) names += message("|layer.", i);
  const NamePattern pattern(names);
  CHECK(pattern.matches("layer.8999"));
  CHECK_FALSE(pattern.matches("layer.9000"));
  CHECK(pattern.steps() < 2 * names.size());
  CHECK_THROWS_AS(NamePattern("(?:" + names + "){2}"), ConfigError);
}
