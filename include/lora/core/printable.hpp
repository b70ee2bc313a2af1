#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "lora/core/code_point_range.hpp"
#include "lora/core/utf8.hpp"

namespace lora {

/// Tells whether a code point shows nothing of its own, or changes how its neighbours show: control
/// and format characters, all white space but U+0020, fillers, selectors of variants, what is for
/// private use, and what is no character.
[[nodiscard]] inline bool is_invisible(char32_t c) {
  static constexpr CodePointRange ranges[] = {
      {0x0, 0x1F},        {0x7F, 0xA0},       {0xAD, 0xAD},       {0x34F, 0x34F},
      {0x61C, 0x61C},     {0x115F, 0x1160},   {0x1680, 0x1680},   {0x17B4, 0x17B5},
      {0x180B, 0x180F},   {0x2000, 0x200F},   {0x2028, 0x202F},   {0x205F, 0x206F},
      {0x3000, 0x3000},   {0x3164, 0x3164},   {0xD800, 0xF8FF},   {0xFE00, 0xFE0F},
      {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},
      {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0x10FFFF}};
  return find_range(ranges, c) != nullptr;
}

/// Returns text that came from a file as a message can show it: what is_invisible, quotes and
/// backslashes are escaped as in Python (\n, \u00a0, \U000e0001), bytes that are not UTF-8 as \xff.
/// Of a text longer than `most` characters the rest is left out.
[[nodiscard]] inline std::string printable(std::string_view text, std::size_t most = 80) {
  std::string shown;
  const auto escape = [&](char letter, std::size_t digits, char32_t value) {
    shown += {'\\', letter};
    while (digits-- > 0) shown += "0123456789abcdef"[value >> (4 * digits) & 0xF];
  };
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) {
    if (count == most) return shown + " ...";
    const auto [c, length, well_formed] = code_point_at(text, at);
    const std::string_view bytes = text.substr(at, length);
    at += length;
    if (!well_formed)
      for (const char byte : bytes) escape('x', 2, static_cast<unsigned char>(byte));
    else if (c == '"' || c == '\\')
      shown += {'\\', static_cast<char>(c)};
    else if (c == '\n' || c == '\r' || c == '\t')
      shown += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    else if (!is_invisible(c))
      shown += bytes;
    else if (c < 0x80)
      escape('x', 2, c);
    else
      escape(c < 0x10000 ? 'u' : 'U', c < 0x10000 ? 4 : 8, c);
  }
  return shown;
}

/// Returns a name as messages show it: printable, in quotes, and cut where it is longer than names
/// are.
[[nodiscard]] inline std::string in_quotes(std::string_view name) {
  return '"' + printable(name, 300) + '"';
}

}  // namespace lora
