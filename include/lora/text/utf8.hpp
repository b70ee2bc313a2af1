#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/utf8.hpp"
#include "lora/text/span.hpp"

namespace lora::text {

using lora::replacement_character;

/// A code point and the bytes of the original text that it came from.
struct Character {
  char32_t value = 0;
  Span origin = {};

  friend bool operator==(const Character&, const Character&) = default;
};

/// Reads the code point that begins at byte `at`, at < text.size(); see code_point_at.
[[nodiscard]] inline Character character_at(std::string_view text, std::size_t at) {
  const CodePoint read = code_point_at(text, at);
  return {read.value, {at, at + read.length}};
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

/// Appends the UTF-8 of a code point, at most U+10FFFF.
inline void append_utf8(char32_t c, std::string& text) {
  const auto push = [&](char32_t bits) { text.push_back(static_cast<char>(bits)); };
  const auto tail = [&](unsigned shift) { push(0x80U | ((c >> shift) & 0x3FU)); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0U | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    push(0xE0U | (c >> 12));
    tail(6);
    tail(0);
  } else {
    push(0xF0U | (c >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

/// Tells whether the whole text is well-formed UTF-8.
[[nodiscard]] inline bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint read = code_point_at(text, at);
    if (!read.well_formed) return false;
    at += read.length;
  }
  return true;
}

}  // namespace lora::text
