#pragma once

#include <cstddef>
#include <span>

#include "lora/text/character_class.hpp"
#include "lora/text/utf8.hpp"

namespace lora::text {

/// A pattern by which byte-level BPE cuts a text into pieces before it merges, named after the
/// models that brought it:
///
///     gpt2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///     llama3  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}
///             | ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
///     qwen2   as llama3, with \p{N} for \p{N}{1,3}
///     smollm  each \p{N} apart, and what lies between as gpt2
enum class SplitPattern { gpt2, llama3, qwen2, smollm };

namespace detail {

/// A scanner that finds where pieces end. It needs no regular expressions: at each place the
/// alternatives of the pattern are tried in their order.
class PieceScanner {
 public:
  PieceScanner(std::span<const Character> text, SplitPattern pattern)
      : text_(text), pattern_(pattern) {}

  // Where the piece that begins at `at` ends, at < text.size().
  [[nodiscard]] std::size_t end_of(std::size_t at) const {
    if (const std::size_t length = contraction(at)) return at + length;
    const std::size_t end = gpt2() ? spaced_run(at) : run(at);
    return end > at ? end : whitespace(at);
  }

 private:
  enum class Kind { none, letter, number, space, other };

  [[nodiscard]] bool gpt2() const { return pattern_ == SplitPattern::gpt2; }

  // 0 behind the end.
  [[nodiscard]] char32_t value(std::size_t at) const {
    return at < text_.size() ? text_[at].value : 0;
  }

  [[nodiscard]] Kind kind(std::size_t at) const {
    if (at >= text_.size()) return Kind::none;
    const char32_t c = text_[at].value;
    if (is_letter(c)) return Kind::letter;
    if (is_number(c)) return Kind::number;
    return is_whitespace(c) ? Kind::space : Kind::other;
  }

  [[nodiscard]] bool is_line_end(std::size_t at) const {
    return value(at) == '\r' || value(at) == '\n';
  }

  [[nodiscard]] std::size_t skip(std::size_t at, Kind wanted, std::size_t most) const {
    while (most-- > 0 && kind(at) == wanted) ++at;
    return at;
  }

  [[nodiscard]] std::size_t contraction(std::size_t at) const {
    if (value(at) != '\'') return 0;
    const auto folded = [&](std::size_t i) {
      const char32_t c = value(i);
      if (gpt2()) return c;
      constexpr char32_t long_s = 0x17F;  // whose upper case is S
      return c == long_s ? char32_t{'s'} : c < 0x80 ? lowercase(c) : c;
    };
    const char32_t first = folded(at + 1), second = folded(at + 2);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
    return (first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
                   (first == 'l' && second == 'l')
               ? 3
               : 0;
  }

  // GPT-2: letters, numbers or others, with a space before them. `at` if there are none.
  [[nodiscard]] std::size_t spaced_run(std::size_t at) const {
    const std::size_t begin = value(at) == ' ' ? at + 1 : at;
    const Kind wanted = kind(begin);
    return wanted == Kind::space || wanted == Kind::none ? at : skip(begin, wanted, text_.size());
  }

  // The others: letters with anything before them but a line's end and a number; numbers; others
  // with a space before them and lines' ends behind them.
  [[nodiscard]] std::size_t run(std::size_t at) const {
    const Kind first = kind(at);
    if (first == Kind::letter) return skip(at, Kind::letter, text_.size());
    if (first == Kind::number)
      return skip(at, Kind::number, pattern_ == SplitPattern::llama3 ? 3 : 1);
    if (!is_line_end(at) && kind(at + 1) == Kind::letter)
      return skip(at + 1, Kind::letter, text_.size());
    const std::size_t begin = value(at) == ' ' ? at + 1 : at;
    if (kind(begin) != Kind::other) return at;
    std::size_t end = skip(begin, Kind::other, text_.size());
    while (is_line_end(end)) ++end;
    return end;
  }

  // White space: up to the last end of a line in it, else all of it at the end of the text, else
  // all but the last, which the next piece begins with.
  [[nodiscard]] std::size_t whitespace(std::size_t at) const {
    const std::size_t end = skip(at, Kind::space, text_.size());
    for (std::size_t last = end; !gpt2() && last > at; --last)
      if (is_line_end(last - 1)) return last;
    return end == text_.size() || end - at == 1 ? end : end - 1;
  }

  std::span<const Character> text_;
  SplitPattern pattern_;
};

}  // namespace detail

/// Calls function(piece) with each piece of a text, in their order; together they are the text. The
/// time is linear in its length. Equal to Hugging Face's tokenizers for code points of Unicode 16
/// and before: newer letters and numbers are such where the Unicode library knows them.
template <class Function>
void for_each_piece(std::span<const Character> text, SplitPattern pattern,
                    const Function& function) {
  if (pattern == SplitPattern::smollm) {
    for (std::size_t at = 0; at < text.size();) {
      std::size_t end = at;
      while (end < text.size() && !is_number(text[end].value)) ++end;
      for_each_piece(text.subspan(at, end - at), SplitPattern::gpt2, function);
      if (end < text.size()) function(text.subspan(end, 1));
      at = end + 1;
    }
    return;
  }
  const detail::PieceScanner scanner(text, pattern);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = scanner.end_of(at);
    function(text.subspan(at, end - at));
    at = end;
  }
}

}  // namespace lora::text
