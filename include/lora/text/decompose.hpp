#pragma once

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "lora/text/character_class.hpp"
#include "lora/text/utf8.hpp"

namespace lora::text {

/// Returns the canonical combining class of a code point; 0 is a character that starts anew.
[[nodiscard]] inline int combining_class(char32_t c) {
  if (c < 0x300) return 0;
  const int known = utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class;
  return known != 0 && find_range(newer_normalization, c) == nullptr ? known : 0;
}

/// Returns the canonical decomposition (NFD, Unicode annex 15) of a text. Marks are sorted a run at
/// a time in n log n, so that a long run costs no more than others. Origins are Hugging Face's: in
/// the order of the result, what opens a decomposition takes the next character's, the rest of it
/// the same once more.
[[nodiscard]] inline std::vector<Character> decompose(std::span<const Character> text) {
  struct Part {
    char32_t value;
    int combining;
    bool first;  // of its decomposition
  };
  std::vector<Part> parts;
  parts.reserve(text.size());
  std::size_t run = 0;  // where the marks that are not sorted yet begin
  const auto sort_run = [&] {
    std::stable_sort(parts.begin() + static_cast<std::ptrdiff_t>(run), parts.end(),
                     [](const Part& a, const Part& b) { return a.combining < b.combining; });
  };
  const auto push = [&](char32_t c, bool first) {
    const int combining = combining_class(c);
    if (combining == 0) {
      sort_run();
      run = parts.size() + 1;
    }
    parts.push_back({c, combining, first});
  };
  for (const Character& character : text) {
    // No code point decomposes into more than four.
    std::array<utf8proc_int32_t, 8> values{};
    utf8proc_ssize_t count = 0;
    int boundary = 0;
    if (character.value >= 0xC0 && find_range(newer_normalization, character.value) == nullptr)
      count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(character.value), values.data(),
                                      static_cast<utf8proc_ssize_t>(values.size()),
                                      UTF8PROC_DECOMPOSE, &boundary);
    if (count <= 0 || count > static_cast<utf8proc_ssize_t>(values.size())) {
      push(character.value, true);
    } else {
      for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
        push(static_cast<char32_t>(values[i]), i == 0);
    }
  }
  sort_run();

  std::vector<Character> result;
  result.reserve(parts.size());
  std::size_t next = 0;
  for (const Part& part : parts) {
    if (part.first) ++next;
    result.push_back({part.value, text[next - 1].origin});
  }
  return result;
}

}  // namespace lora::text
