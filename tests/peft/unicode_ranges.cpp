#include <lora/peft/unicode_ranges.hpp>

#include <iterator>

#include "support/catch.hpp"

using namespace lora::peft::detail;

namespace {

// Counts the characters of a table; its ranges rise without touching, all beyond ASCII.
template <std::size_t Size>
int count(const lora::CodePointRange (&ranges)[Size]) {
  int characters = 0;
  char32_t before = 0x7E;
  for (const lora::CodePointRange& range : ranges) {
    CHECK(before + 1 < range.first);
    CHECK(range.first <= range.last);
    before = range.last;
    characters += static_cast<int>(range.last - range.first) + 1;
  }
  return characters;
}

}  // namespace

// By python3.11 -c "import re; print(sum(bool(re.match(r'\w', chr(c))) for c in range(128,
// 1114112)))"
TEST_CASE("the tables have as many characters as Python 3.11 matches") {
  CHECK(count(word_ranges) == 133485);
  CHECK(count(digit_ranges) == 650);
  CHECK(count(space_ranges) == 19);
}
