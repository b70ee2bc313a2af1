#include <lora/text/byte_alphabet.hpp>

#include <set>
#include <string>

#include "support/catch.hpp"

using namespace lora::text;

TEST_CASE("each byte has a character of its own, which shows") {
  std::set<char32_t> seen;
  for (unsigned b = 0; b < 256; ++b) {
    const char32_t c = character_of_byte(static_cast<unsigned char>(b));
    CHECK(seen.insert(c).second);
    CHECK(byte_of_character(c) == static_cast<unsigned char>(b));
  }
  // GPT-2's: the printable bytes of Latin-1 are themselves, the other 68 begin at U+0100.
  CHECK(character_of_byte('!') == U'!');
  CHECK(character_of_byte(0xAC) == 0xAC);
  CHECK(character_of_byte(0) == 0x100);
  CHECK(character_of_byte('\n') == 0x10A);
  CHECK(character_of_byte(' ') == 0x120);
  CHECK(character_of_byte(0xAD) == 0x143);
  for (const char32_t c : {0x20U, 0xADU, 0x144U, 0x3000U, 0x10FFFFU})
    CHECK_FALSE(byte_of_character(c));
}

TEST_CASE("bytes are spelled, and read from their spelling") {
  CHECK(spelled_bytes(" a\n") == "\u0120a\u010A");
  CHECK(spelled_bytes("é\xFF") == "\u00C3\u00A9\u00FF");
  std::string all;
  for (unsigned b = 0; b < 256; ++b) all.push_back(static_cast<char>(b));
  CHECK(bytes_of_token(spelled_bytes(all)) == all);
  CHECK(bytes_of_token("") == "");
  CHECK_FALSE(bytes_of_token("a b"));
  CHECK_FALSE(bytes_of_token("\u65E5"));
}
