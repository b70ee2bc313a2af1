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
