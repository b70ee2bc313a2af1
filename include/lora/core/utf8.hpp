#pragma once

#include <cstddef>
#include <string_view>

namespace lora {

/// The character that stands for bytes that are not UTF-8.
inline constexpr char32_t replacement_character = 0xFFFD;

/// One character of a UTF-8 text.
struct CodePoint {
  char32_t value = 0;
  std::size_t length = 1;   ///< in bytes
  bool well_formed = true;  ///< otherwise the value is U+FFFD
};

/// Reads the code point that begins at byte `at`, at < text.size(). What is ill-formed counts as
/// one U+FFFD for each longest beginning of a well-formed sequence, or for each byte that begins
/// none: the practice that Unicode recommends (The Unicode Standard, 3.9, table 3-7) and Python
/// follows with errors="replace".
[[nodiscard]] inline CodePoint code_point_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return {lead, 1, true};

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
    return {replacement_character, 1, false};
  }

  char32_t value = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i == text.size() || byte(at + i) < low || byte(at + i) > high)
      return {replacement_character, i, false};
    value = (value << 6) | (byte(at + i) & 0x3FU);
    low = 0x80;
    high = 0xBF;
  }
  return {value, length, true};
}

}  // namespace lora
