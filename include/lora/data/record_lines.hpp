#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "lora/core/error.hpp"
#include "lora/text/lines.hpp"
#include "lora/text/utf8.hpp"
#include "lora/text/whitespace.hpp"

namespace lora::data {

/// The lines of a file of records, one by one. Every error is a FileError that begins with
/// "where:line: ".
class RecordLines {
 public:
  /// Begins before the first line of `text`, which has to outlive it; `where` names the file.
  RecordLines(std::string_view text, std::string where) : lines_(text), where_(std::move(where)) {}

  /// Goes to the next line; false if there is none. Throws for a line that is not UTF-8, and for a
  /// carriage return within one: of a file whose lines end so, all would be one line.
  bool next() {
    if (!lines_.next()) return false;
    if (!text::is_utf8(lines_.line())) fail("is not UTF-8");
    trimmed_ = text::without_trailing_whitespace(lines_.line());
    if (trimmed_.find('\r') != std::string_view::npos)
      fail("has a carriage return within, expected lines that end with \\n or \\r\\n");
    return true;
  }

  /// Views the line at hand without its end.
  [[nodiscard]] std::string_view line() const { return lines_.line(); }

  /// Views it without the white space at its end either.
  [[nodiscard]] std::string_view trimmed() const { return trimmed_; }

  /// Returns the file and the number of the line, for messages.
  [[nodiscard]] std::string where() const { return message(where_, ":", lines_.number()); }

  /// Throws FileError "where:line: what". Text of the file is to be printable in `what`.
  [[noreturn]] void fail(const std::string& what) const { throw FileError(where() + ": " + what); }

 private:
  text::Lines lines_;
  std::string where_;
  std::string_view trimmed_;
};

}  // namespace lora::data
