#pragma once

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "lora/text/unicode_versions.hpp"

namespace lora::text {

/// Returns the Unicode general category of a code point, as the Unicode library knows it.
[[nodiscard]] inline utf8proc_category_t category_of(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

/// Tells whether a code point has Unicode's property White_Space.
[[nodiscard]] inline bool is_whitespace(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 0x9 && c <= 0xD);
  if (c == 0x85) return true;
  const auto category = category_of(c);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

/// Tells whether BERT removes a code point as a control character: categories Cc, Cf and Co, but
/// not tab, line feed and carriage return. Unassigned code points stay.
[[nodiscard]] inline bool is_control(char32_t c) {
  if (c < 0x80) return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
  const auto category = category_of(c);
  return (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
          category == UTF8PROC_CATEGORY_CO) &&
         find_range(newer_categories, c) == nullptr;
}

/// Tells whether BERT splits a code point off as punctuation: category P, and every printable ASCII
/// character that is neither letter nor digit nor space.
[[nodiscard]] inline bool is_punctuation(char32_t c) {
  if (c < 0x80)
    return (c > 0x20 && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') ||
           (c > 'z' && c < 0x7F);
  const auto category = category_of(c);
  if (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO)
    return find_range(newer_categories, c) == nullptr;
  return std::find(std::begin(punctuation_before), std::end(punctuation_before), c) !=
         std::end(punctuation_before);
}

/// Tells whether a code point is a nonspacing mark (category Mn): what stripping accents removes.
[[nodiscard]] inline bool is_nonspacing_mark(char32_t c) {
  if (c < 0x300) return false;
  if (category_of(c) == UTF8PROC_CATEGORY_MN && find_range(newer_categories, c) == nullptr)
    return std::find(std::begin(punctuation_before), std::end(punctuation_before), c) ==
           std::end(punctuation_before);
  return std::find(std::begin(nonspacing_mark_before), std::end(nonspacing_mark_before), c) !=
         std::end(nonspacing_mark_before);
}

/// Tells whether BERT puts spaces around a code point: the CJK ideographs of its own list, which
/// begins the last but one block at U+2B920 where Unicode has U+2B820.
[[nodiscard]] inline bool is_cjk(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B81F) ||
         (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

/// Tells whether a code point is part of a word, \w of regular expressions: letters, marks, digits,
/// connectors, joiners and the circled letters (UTS 18, annex C).
[[nodiscard]] inline bool is_word(char32_t c) {
  const auto category = category_of(c);
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) ||
         category == UTF8PROC_CATEGORY_PC || c == 0x200C || c == 0x200D ||
         (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189) ||
         find_range(newer_words, c) != nullptr;
}

/// Tells whether a code point is a letter: category L, \p{L} of regular expressions.
[[nodiscard]] inline bool is_letter(char32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  const auto category = category_of(c);
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
         find_range(newer_letters, c) != nullptr;
}

/// Tells whether a code point is a number: category N, \p{N} of regular expressions.
[[nodiscard]] inline bool is_number(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  const auto category = category_of(c);
  return (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) ||
         find_range(newer_numbers, c) != nullptr;
}

/// Returns the lower case of one code point without regard to its neighbours; U+0130, whose lower
/// case is two code points, comes back as the first of them, i.
[[nodiscard]] inline char32_t lowercase(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
  if (const LowercaseRange* range = find_range(newer_lowercase, c))
    return range->lower + (c - range->first);
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

}  // namespace lora::text
