#include <lora/text/lines.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

using namespace lora::text;

namespace {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> found;
  for (Lines lines(text); lines.next();) {
    found.emplace_back(lines.line());
    CHECK(lines.number() == found.size());
  }
  return found;
}

using Found = std::vector<std::string>;

}  // namespace

TEST_CASE("a line ends at a line feed, with or without carriage returns before it") {
  CHECK(lines_of("a\nb\n") == Found{"a", "b"});
  CHECK(lines_of("a\nb") == Found{"a", "b"});
  CHECK(lines_of("a\r\n\r\nb\r") == Found{"a", "", "b"});
  CHECK(lines_of("a\r\r\nb") == Found{"a", "b"});
  CHECK(lines_of("\n\n") == Found{"", ""});
  CHECK(lines_of("").empty());
}

TEST_CASE("nothing else ends a line") {
  CHECK(lines_of("a\rb\vc\fd\u0085e\u2028f") == Found{"a\rb\vc\fd\u0085e\u2028f"});
}

TEST_CASE("the mark at the beginning of UTF-8 is no part of a line") {
  CHECK(lines_of("\xEF\xBB\xBF") == Found{});
  CHECK(lines_of("\xEF\xBB\xBF\n") == Found{""});
  CHECK(lines_of("\xEF\xBB\xBF"
                 "a\n\xEF\xBB\xBF"
                 "b") == Found{"a",
                               "\xEF\xBB\xBF"
                               "b"});
}
