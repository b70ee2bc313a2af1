#include <lora/peft/pattern_matcher.hpp>

#include <lora/peft/name_pattern_parser.hpp>

#include "support/catch.hpp"

using namespace lora::peft::detail;
using Ends = std::vector<std::size_t>;

namespace {

Ends ends(const char* pattern, std::string_view name, std::size_t begin = 0, bool dots = false) {
  const PatternProgram program = NamePatternParser(pattern).parse();
  return PatternMatcher(program, name).ends(begin, dots);
}

}  // namespace

TEST_CASE("ends are counted in bytes and rise") {
  CHECK(ends("a*", "aab") == Ends{0, 1, 2});
  CHECK(ends("ö*", "ööb") == Ends{0, 2, 4});
  CHECK(ends("a", "xa", 1) == Ends{2});
  CHECK(ends("b", "aab").empty());
  CHECK(ends("", "abc", 3) == Ends{3});
  CHECK(ends("", "abc", 4).empty());
}

TEST_CASE("matches begin behind dots where that is asked for, on the first line") {
  CHECK(ends("q", "a.q") == Ends{});
  CHECK(ends("q", "a.q", 0, true) == Ends{3});
  CHECK(ends("q", "q.q", 0, true) == Ends{1, 3});
  CHECK(ends("q", "a\n.q", 0, true) == Ends{});
}

TEST_CASE("a lookaround sees all of the name, before the beginning too") {
  CHECK(ends("(?<=x)a", "xa", 1) == Ends{2});
  CHECK(ends("a(?=b)", "xab", 1) == Ends{2});
  CHECK(ends("(?<!x)a", "xa", 1).empty());
}

TEST_CASE("what is not UTF-8 counts as one character that is no letter") {
  CHECK(ends(".", "\xFF") == Ends{1});
  CHECK(ends("\\w", "\xFF").empty());
  CHECK(ends("..",
             "\xC3"
             "a") == Ends{2});
}
