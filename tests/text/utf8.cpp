#include <lora/text/utf8.hpp>

#include <string>

#include <lora/core/printable.hpp>

#include "support/catch.hpp"

using namespace lora::text;
using namespace std::string_literals;

TEST_CASE("UTF-8 is read with each character's bytes") {
  const auto characters = characters_of("aé北😀"s);
  CHECK(characters ==
        std::vector<Character>{{U'a', {0, 1}}, {U'é', {1, 3}}, {U'北', {3, 6}}, {U'😀', {6, 10}}});
  CHECK(characters_of("").empty());
  CHECK(utf32("\0x"s) == U"\0x"s);
}

TEST_CASE("every code point survives") {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    const auto byte = [&](char32_t value) { text.push_back(static_cast<char>(value)); };
    if (c < 0x80) {
      byte(c);
    } else if (c < 0x800) {
      byte(0xC0 | (c >> 6));
      byte(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      byte(0xE0 | (c >> 12));
      byte(0x80 | ((c >> 6) & 0x3F));
      byte(0x80 | (c & 0x3F));
    } else {
      byte(0xF0 | (c >> 18));
      byte(0x80 | ((c >> 12) & 0x3F));
      byte(0x80 | ((c >> 6) & 0x3F));
      byte(0x80 | (c & 0x3F));
    }
    if (!is_utf8(text) || characters_of(text) != std::vector<Character>{{c, {0, text.size()}}}) {
      CAPTURE(static_cast<unsigned>(c));
      FAIL("not read as it was written");
    }
  }
}

TEST_CASE("what is not UTF-8 is replaced, the longest beginnings at a time") {
  // The example of The Unicode Standard 15, table 3-8, and its neighbours.
  CHECK(utf32("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64") ==
        U"\u0061\uFFFD\uFFFD\uFFFD\u0062\uFFFD\u0063\uFFFD\uFFFD\u0064");
  CHECK(utf32("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") ==
        U"\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA");
  CHECK(utf32("\xED\xA0\x80") == U"\uFFFD\uFFFD\uFFFD");
  CHECK(utf32("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42") ==
        U"\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFDB");
  CHECK_FALSE(is_utf8("\xC3"));
  CHECK(is_utf8("\xEF\xBF\xBD"));
}

TEST_CASE("a code point is written as it is read") {
  for (char32_t c = 0; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 97) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(c, text);
    if (!is_utf8(text) || utf32(text) != std::u32string(1, c)) {
      CAPTURE(static_cast<unsigned>(c));
      FAIL("is written as " << lora::printable(text));
    }
  }
  std::string text = "a";
  for (const char32_t c : {U'é', U'日', U'😀'}) append_utf8(c, text);
  CHECK(text == "aé日😀");
}
