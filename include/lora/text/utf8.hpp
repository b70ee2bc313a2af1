#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lora/text/span.hpp"

namespace lora::text {

/// What stands for bytes that are not UTF-8.
inline constexpr char32_t replacement_character = 0xFFFD;

/// A code point and the bytes of the original text that it came from.
struct Character {
  char32_t value = 0;
  Span origin = {};

  friend bool operator==(const Character&, const Character&) = default;
};

/// Reads the code point that begins at byte `at`, at < text.size(). What is ill-formed counts as
/// one U+FFFD for each longest beginning of a well-formed sequence, or for each byte that begins
/// none: the practice that Unicode recommends (The Unicode Standard, 3.9, table 3-7) and Python
/// follows with errors="replace".
[[nodiscard]] inline Character character_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return {lead, {at, at + 1}};

  // The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF.
  std::size_t length = 0;
  unsigned char low = 0x80, high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {replacement_character, {at, at + 1}};
  }

  char32_t value = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i == text.size() || byte(at + i) < low || byte(at + i) > high)
      return {replacement_character, {at, at + i}};
    value = (value << 6) | (byte(at + i) & 0x3FU);
    low = 0x80;
    high = 0xBF;
  }
  return {value, {at, at + length}};
}

/// Returns the code points of a text; what is not UTF-8 is replaced as by character_at.
[[nodiscard]] inline std::vector<Character> characters_of(std::string_view text) {
  std::vector<Character> characters;
  characters.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    characters.push_back(character_at(text, at));
    at = characters.back().origin.end;
  }
  return characters;
}

/// Returns the code points of a text without their places.
[[nodiscard]] inline std::u32string utf32(std::string_view text) {
  std::u32string values;
  for (const Character& character : characters_of(text)) values.push_back(character.value);
  return values;
}

/// Tells whether the whole text is well-formed UTF-8.
[[nodiscard]] inline bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    // U+FFFD itself is well-formed, and three bytes long.
    if (character.value == replacement_character &&
        text.substr(at, character.origin.end - at) != "\xEF\xBF\xBD")
      return false;
    at = character.origin.end;
  }
  return true;
}

}  // namespace lora::text
