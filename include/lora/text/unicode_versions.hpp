#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>

namespace lora::text {

/// Where Hugging Face's tokenizers (0.23) and newer Unicode data differ. Their categories are those
/// of Unicode 8 (the crate unicode_categories), their decompositions and combining classes those of
/// Unicode 9 (unicode-normalization-alignments), their lower case that of Unicode 17 (Rust). A
/// model has learnt from what its tokenizer did, so these tables keep to it whatever the Unicode
/// library's version. tests/golden/make_golden_tokenizer.py --tables finds them, by asking the
/// tokenizers about every code point and comparing with Unicode 15 (utf8proc 2.8) and 18; between
/// the code points that differ lie only such that are the same in all.
struct CodePointRange {
  char32_t first;
  char32_t last;
};

/// Format characters, nonspacing marks and punctuation that came after Unicode 8: taken for
/// ordinary characters, neither removed nor split off.
inline constexpr CodePointRange newer_categories[] = {
    {0x5C8, 0x5C9},     {0x61D, 0x61D},     {0x7FD, 0x7FD},     {0x890, 0x8E2},
    {0x9FD, 0x9FE},     {0xA76, 0xA76},     {0xAFA, 0xAFF},     {0xB53, 0xB55},
    {0xC04, 0xC3C},     {0xC77, 0xC77},     {0xC84, 0xC84},     {0xD00, 0xD00},
    {0xD3B, 0xD3C},     {0xD81, 0xD81},     {0xEBA, 0xEBA},     {0xECE, 0xECE},
    {0x180F, 0x1886},   {0x1ABF, 0x1AF0},   {0x1B4E, 0x1B4F},   {0x1B7D, 0x1B7F},
    {0x1DF6, 0x1DFB},   {0x2E43, 0x2E63},   {0xA82C, 0xA82C},   {0xA8C5, 0xA8C5},
    {0xA8FF, 0xA8FF},   {0xA9BD, 0xA9BD},   {0x10D24, 0x10F89}, {0x11070, 0x11074},
    {0x110C2, 0x110CD}, {0x111CF, 0x111CF}, {0x1123E, 0x11241}, {0x1133B, 0x1133B},
    {0x113BB, 0x1145E}, {0x11660, 0x1166C}, {0x116B9, 0x116B9}, {0x1182F, 0x11FFF},
    {0x12FF1, 0x1612F}, {0x16D6D, 0x16F4F}, {0x16FE2, 0x16FE4}, {0x1CF00, 0x1D128},
    {0x1D25B, 0x1D25C}, {0x1E000, 0x1E6F5}, {0x1E944, 0x1E95F}};

/// Code points whose decomposition or combining class came after Unicode 9: none, and class 0.
inline constexpr CodePointRange newer_normalization[] = {
    {0x5C8, 0x5C9},     {0x7FD, 0x7FD},     {0x897, 0x8D3},     {0x9FE, 0x9FE},
    {0xC3C, 0xC3C},     {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},
    {0x1ABF, 0x1AF0},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},   {0x105C9, 0x105E4},
    {0x10D24, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x11383, 0x113D0},
    {0x1145E, 0x1145E}, {0x11839, 0x11A99}, {0x11D42, 0x1612F}, {0x16D68, 0x16FF1},
    {0x1D127, 0x1D128}, {0x1D250, 0x1D281}, {0x1E08F, 0x1E6F5}};

/// Code points whose category changed after Unicode 8: punctuation then, and nonspacing marks then.
inline constexpr char32_t punctuation_before[] = {0x166D, 0x111C9};
inline constexpr char32_t nonspacing_mark_before[] = {0x1734, 0x1171E};

/// Parts of words (\w) of Unicode 15.1 and 16, the version of Rust's regular expressions. Those of
/// Unicode 17 and later are not held back: a newer Unicode library counts them too, which only a
/// single_word token next to them would show.
inline constexpr CodePointRange newer_words[] = {
    {0x897, 0x897},     {0x1C89, 0x1C8A},   {0xA7CB, 0xA7CD},   {0xA7DA, 0xA7DC},
    {0x105C0, 0x105F3}, {0x10D40, 0x10D65}, {0x10D69, 0x10D6D}, {0x10D6F, 0x10D85},
    {0x10EC2, 0x10EC4}, {0x10EFC, 0x10EFC}, {0x11380, 0x11389}, {0x1138B, 0x1138B},
    {0x1138E, 0x1138E}, {0x11390, 0x113B5}, {0x113B7, 0x113C0}, {0x113C2, 0x113C2},
    {0x113C5, 0x113C5}, {0x113C7, 0x113CA}, {0x113CC, 0x113D3}, {0x113E1, 0x113E2},
    {0x116D0, 0x116E3}, {0x11BC0, 0x11BE0}, {0x11BF0, 0x11BF9}, {0x11F5A, 0x11F5A},
    {0x13460, 0x143FA}, {0x16100, 0x16139}, {0x16D40, 0x16D6C}, {0x16D70, 0x16D79},
    {0x18CFF, 0x18CFF}, {0x1CCF0, 0x1CCF9}, {0x1E5D0, 0x1E5FA}, {0x2EBF0, 0x2EE5D}};

/// Capital letters of Unicode 16 and 17, which utf8proc 2.8 does not know: first, last, and what
/// the first becomes.
struct LowercaseRange {
  char32_t first;
  char32_t last;
  char32_t lower;
};
inline constexpr LowercaseRange newer_lowercase[] = {
    {0x1C89, 0x1C89, 0x1C8A},   {0xA7CB, 0xA7CB, 0x264},  {0xA7CC, 0xA7CC, 0xA7CD},
    {0xA7CE, 0xA7CE, 0xA7CF},   {0xA7D2, 0xA7D2, 0xA7D3}, {0xA7D4, 0xA7D4, 0xA7D5},
    {0xA7DA, 0xA7DA, 0xA7DB},   {0xA7DC, 0xA7DC, 0x19B},  {0x10D50, 0x10D65, 0x10D70},
    {0x16EA0, 0x16EB8, 0x16EBB}};

/// Returns the range that holds `c`, or nullptr; `ranges` is sorted.
template <class Range, std::size_t Size>
[[nodiscard]] const Range* find_range(const Range (&ranges)[Size], char32_t c) {
  const Range* after =
      std::upper_bound(std::begin(ranges), std::end(ranges), c,
                       [](char32_t value, const Range& range) { return value < range.first; });
  return after != std::begin(ranges) && c <= std::prev(after)->last ? std::prev(after) : nullptr;
}

}  // namespace lora::text
