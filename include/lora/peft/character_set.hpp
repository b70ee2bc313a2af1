#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "lora/core/code_point_range.hpp"
#include "lora/peft/unicode_ranges.hpp"

namespace lora::peft::detail {

/// Tells whether \s of Python's regular expressions matches the character: str.isspace().
[[nodiscard]] inline bool is_space(char32_t c) {
  if (c < 0x80) return c == U' ' || (c >= U'\t' && c <= U'\r') || (c >= 0x1C && c <= 0x1F);
  return find_range(space_ranges, c) != nullptr;
}

/// Tells whether \d matches the character: a decimal digit of any script.
[[nodiscard]] inline bool is_digit(char32_t c) {
  if (c < 0x80) return c >= U'0' && c <= U'9';
  return find_range(digit_ranges, c) != nullptr;
}

/// Tells whether \w matches the character: a letter or number of any script, or the underscore, but
/// no mark that combines with a letter.
[[nodiscard]] inline bool is_word(char32_t c) {
  if (c < 0x80)
    return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z') || (c >= U'0' && c <= U'9') ||
           c == U'_';
  return find_range(word_ranges, c) != nullptr;
}

/// A set of characters, as patterns write it: [a-z_], \w, [^.]. It takes as much memory as its
/// text, whatever its classes match.
class CharacterSet {
 public:
  /// Adds the characters from `first` to `last`.
  void add(char32_t first, char32_t last) { ranges_.push_back({first, last}); }

  /// Adds what `class_` matches, or with `inverted` what it does not.
  void add(bool (*class_)(char32_t), bool inverted) { classes_.emplace_back(class_, inverted); }

  /// Turns it into the set of all other characters.
  void invert() { inverted_ = !inverted_; }

  [[nodiscard]] bool contains(char32_t c) const {
    const bool listed =
        std::any_of(
            ranges_.begin(), ranges_.end(),
            [c](const CodePointRange& range) { return range.first <= c && c <= range.last; }) ||
        std::any_of(classes_.begin(), classes_.end(),
                    [c](const auto& entry) { return entry.first(c) != entry.second; });
    return listed != inverted_;
  }

 private:
  std::vector<CodePointRange> ranges_;
  std::vector<std::pair<bool (*)(char32_t), bool>> classes_;
  bool inverted_ = false;
};

}  // namespace lora::peft::detail
