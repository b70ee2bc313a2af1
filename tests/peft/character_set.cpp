#include <lora/peft/character_set.hpp>

#include "support/catch.hpp"

using namespace lora::peft::detail;

TEST_CASE("classes of characters are those of Python's re") {
  for (const char32_t c : {U'a', U'Z', U'0', U'_', U'ß', U'层', U'²', U'٣', U'Ⅷ'})
    CHECK(is_word(c));
  for (const char32_t c : {U'.', U'-', U' ', char32_t{0x308}, U'€', U'\u200B'})
    CHECK_FALSE(is_word(c));
  for (const char32_t c : {U'0', U'9', U'٣', U'०'}) CHECK(is_digit(c));
  for (const char32_t c : {U'a', U'²', U'Ⅷ', U'/', U':'}) CHECK_FALSE(is_digit(c));
  for (const char32_t c : {U' ', U'\t', U'\n', U'\x1C', U'\u00A0', U'\u3000'}) CHECK(is_space(c));
  for (const char32_t c : {U'a', U'\x1B', U'\u200B', U'\uFEFF'}) CHECK_FALSE(is_space(c));
}

TEST_CASE("a set has its ranges and classes, or all else") {
  CharacterSet set;
  set.add(U'a', U'c');
  set.add(is_digit, false);
  CHECK(set.contains(U'b'));
  CHECK(set.contains(U'7'));
  CHECK_FALSE(set.contains(U'd'));
  set.invert();
  CHECK_FALSE(set.contains(U'b'));
  CHECK_FALSE(set.contains(U'7'));
  CHECK(set.contains(U'ö'));
  CharacterSet others;
  others.add(is_word, true);
  CHECK(others.contains(U'.'));
  CHECK_FALSE(others.contains(U'ö'));
}
