#include <lora/data/record_lines.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::data;

TEST_CASE("records are lines, with and without the white space at their ends") {
  std::vector<std::string> lines;
  for (RecordLines records("\xEF\xBB\xBF a \u00A0\t\r\r\n\nb\u200B\nc", "r.txt"); records.next();)
    lines.emplace_back(records.trimmed());
  CHECK(lines == std::vector<std::string>{" a", "", "b\u200B", "c"});
}

TEST_CASE("a line that is no text is named") {
  RecordLines records("a \n\xFF\nb\rc\nd", "r.txt");
  REQUIRE(records.next());
  CHECK(records.line() == "a ");
  CHECK(records.trimmed() == "a");
  CHECK(records.where() == "r.txt:1");
  CHECK_THROWS_WITH(records.next(), "r.txt:2: is not UTF-8");
  CHECK_THROWS_WITH(
      records.next(),
      R"(r.txt:3: has a carriage return within, expected lines that end with \n or \r\n)");
  CHECK(records.next());
  CHECK_THROWS_WITH(records.fail("is odd"), "r.txt:4: is odd");
  CHECK_FALSE(records.next());
}
