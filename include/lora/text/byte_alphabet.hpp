#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "lora/text/utf8.hpp"

namespace lora::text {

namespace detail {

inline constexpr std::array<char32_t, 256> byte_characters = [] {
  std::array<char32_t, 256> table{};
  char32_t next = 0x100;
  for (unsigned b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    table[b] = printable ? b : next++;
  }
  return table;
}();

}  // namespace detail

/// Returns the character that stands for a byte in the vocabularies of byte-level BPE: itself where
/// it is printable in Latin-1, else one from U+0100 on; a space is U+0120 (Radford et al. 2019,
/// encoder.py of GPT-2).
[[nodiscard]] constexpr char32_t character_of_byte(unsigned char byte) {
  return detail::byte_characters[byte];
}

/// Returns the byte that a character stands for; nothing for a character of no byte.
[[nodiscard]] inline std::optional<unsigned char> byte_of_character(char32_t c) {
  constexpr std::size_t size = 0x144;  // 0x100 and the 68 bytes that are not printable
  static constexpr std::array<short, size> bytes = [] {
    std::array<short, size> table{};
    table.fill(-1);
    for (unsigned b = 0; b < 256; ++b)
      table[character_of_byte(static_cast<unsigned char>(b))] = static_cast<short>(b);
    return table;
  }();
  if (c >= size || bytes[c] < 0) return std::nullopt;
  return static_cast<unsigned char>(bytes[c]);
}

/// Returns bytes as a vocabulary spells them, in UTF-8.
[[nodiscard]] inline std::string spelled_bytes(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes)
    append_utf8(character_of_byte(static_cast<unsigned char>(byte)), text);
  return text;
}

/// Returns the bytes that a token of a vocabulary spells; nothing where it has a character of no
/// byte, as an added token may.
[[nodiscard]] inline std::optional<std::string> bytes_of_token(std::string_view token) {
  std::string bytes;
  for (const Character& character : characters_of(token)) {
    const auto byte = byte_of_character(character.value);
    if (!byte) return std::nullopt;
    bytes.push_back(static_cast<char>(*byte));
  }
  return bytes;
}

}  // namespace lora::text
