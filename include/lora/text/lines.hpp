#pragma once

#include <cstddef>
#include <string_view>

namespace lora::text {

/// A text line by line. A line ends at a line feed, with or without carriage returns before it (an
/// editor that converts twice leaves two), and nowhere else: Unicode's other separators, such as
/// U+0085, are part of a line.
class Lines {
 public:
  /// Begins before the first line of `text`, which has to outlive it.
  explicit Lines(std::string_view text) : rest_(text) {
    // The mark that some editors put at the beginning of UTF-8.
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
  }

  /// Goes to the next line; false if there is none.
  bool next() {
    if (rest_.empty()) return false;
    const std::size_t end = rest_.find('\n');
    line_ = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    while (line_.ends_with('\r')) line_.remove_suffix(1);
    ++number_;
    return true;
  }

  /// Views the line at hand without its end.
  [[nodiscard]] std::string_view line() const { return line_; }

  /// Returns its number, from 1.
  [[nodiscard]] std::size_t number() const { return number_; }

 private:
  std::string_view rest_;
  std::string_view line_;
  std::size_t number_ = 0;
};

}  // namespace lora::text
