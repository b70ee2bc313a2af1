#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "lora/text/character_class.hpp"
#include "lora/text/decompose.hpp"
#include "lora/text/utf8.hpp"

namespace lora::text {

/// The cleaning of a text that BERT's models expect: the component BertNormalizer of Hugging Face's
/// tokenizers, by their names and with their defaults.
struct BertNormalizer {
  bool clean_text = true;            ///< removes NUL, U+FFFD and control characters; all white
                                     ///< space becomes a space
  bool handle_chinese_chars = true;  ///< puts spaces around CJK ideographs
  std::optional<bool> strip_accents = std::nullopt;  ///< decomposes and removes nonspacing marks;
                                                     ///< if absent, as lowercase is
  bool lowercase = true;

  /// Returns the normalized text. Every character keeps the bytes that it came from.
  [[nodiscard]] std::vector<Character> operator()(std::span<const Character> text) const {
    std::vector<Character> result;
    result.reserve(text.size());
    const bool split_cjk = handle_chinese_chars;
    for (Character character : text) {
      if (clean_text) {
        const char32_t c = character.value;
        if (c == 0 || c == replacement_character || is_control(c)) continue;
        if (is_whitespace(c)) character.value = ' ';
      }
      const bool cjk = split_cjk && is_cjk(character.value);
      if (cjk) result.push_back({' ', character.origin});
      result.push_back(character);
      if (cjk) result.push_back({' ', character.origin});
    }
    if (strip_accents.value_or(lowercase)) strip(result);
    if (lowercase) lower(result);
    return result;
  }

 private:
  static void strip(std::vector<Character>& text) {
    // Below U+00C0 nothing decomposes and nothing is a mark.
    if (std::all_of(text.begin(), text.end(), [](const Character& c) { return c.value < 0xC0; }))
      return;
    text = decompose(text);
    std::erase_if(text, [](const Character& c) { return is_nonspacing_mark(c.value); });
  }

  static void lower(std::vector<Character>& text) {
    constexpr char32_t capital_i_with_dot = 0x130, dot_above = 0x307;
    const bool longer = std::any_of(
        text.begin(), text.end(), [](const Character& c) { return c.value == capital_i_with_dot; });
    if (longer) {
      // The one code point whose lower case is two: i and a combining dot.
      std::vector<Character> expanded;
      expanded.reserve(text.size() + 16);
      for (const Character& c : text) {
        expanded.push_back(c);
        if (c.value == capital_i_with_dot) expanded.push_back({dot_above, c.origin});
      }
      text = std::move(expanded);
    }
    for (Character& c : text) c.value = text::lowercase(c.value);
  }
};

}  // namespace lora::text
