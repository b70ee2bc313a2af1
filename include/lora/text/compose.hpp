#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include <utf8proc.h>

#include "lora/text/decompose.hpp"
#include "lora/text/unicode_versions.hpp"
#include "lora/text/utf8.hpp"

namespace lora::text {

/// Returns the character that two make together (Unicode annex 15), if there is one that Hugging
/// Face's tokenizers know.
[[nodiscard]] inline std::optional<char32_t> composed(char32_t first, char32_t second) {
  if (second < 0x300) return std::nullopt;  // no such character is the second of a pair
  std::array<utf8proc_int32_t, 2> pair{static_cast<utf8proc_int32_t>(first),
                                       static_cast<utf8proc_int32_t>(second)};
  // STABLE leaves out what Unicode excludes from composition.
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
  if (utf8proc_normalize_utf32(pair.data(), 2, options) != 1) return std::nullopt;
  const auto both = static_cast<char32_t>(pair[0]);
  return find_range(newer_normalization, both) == nullptr ? std::optional(both) : std::nullopt;
}

/// Returns the canonical composition (NFC, Unicode annex 15) of a text, as Hugging Face's
/// tokenizers compute it. A composed character has the bytes of its parts.
[[nodiscard]] inline std::vector<Character> compose(std::span<const Character> text) {
  if (std::all_of(text.begin(), text.end(), [](const Character& c) { return c.value < 0x300; }))
    return {text.begin(), text.end()};
  std::vector<Character> result = decompose(text);
  std::size_t size = 0, starter = 0;
  int before = -1;  // the class of the mark kept last behind the starter; 0 bars what follows
  bool has_starter = false;
  for (const Character& character : result) {
    const int combining = combining_class(character.value);
    if (has_starter && before < combining) {
      if (const auto both = composed(result[starter].value, character.value)) {
        result[starter].value = *both;
        result[starter].origin.end = std::max(result[starter].origin.end, character.origin.end);
        continue;
      }
    }
    if (combining == 0) {
      starter = size;
      has_starter = true;
      before = -1;
    } else {
      before = combining;
    }
    result[size++] = character;
  }
  result.resize(size, {});
  return result;
}

}  // namespace lora::text
