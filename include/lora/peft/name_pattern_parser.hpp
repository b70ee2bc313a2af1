#pragma once

#include <bitset>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"

namespace lora::peft::detail {

/// A set of bytes.
using CharacterSet = std::bitset<256>;

/// Returns the set of the bytes for which `contains` is true.
template <class Predicate>
[[nodiscard]] CharacterSet characters_where(const Predicate& contains) {
  CharacterSet set;
  for (int c = 0; c < 256; ++c) set[static_cast<std::size_t>(c)] = contains(c);
  return set;
}

/// Returns the characters of \w: letters, digits and the underscore.
[[nodiscard]] inline const CharacterSet& word_characters() {
  static const CharacterSet set = characters_where([](int c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  return set;
}

/// One step of a NamePattern's automaton; targets are relative to the step, so that a piece of
/// program can be copied anywhere.
struct PatternStep {
  enum class Kind { character, split, jump, begin, end, word_boundary, no_word_boundary, match };
  Kind kind = Kind::match;
  CharacterSet characters = {};
  std::ptrdiff_t next = 1;
  std::ptrdiff_t other = 1;
};

/// Translates a pattern into steps, of which the last is the match. Throws ConfigError.
class NamePatternParser {
 public:
  explicit NamePatternParser(std::string_view pattern) : pattern_(pattern) {}

  [[nodiscard]] std::vector<PatternStep> parse() {
    if (pattern_.size() > most_steps) throw ConfigError("the pattern is too long");
    Program program = alternatives();
    if (at_ < pattern_.size()) fail("an unbalanced )");
    program.emplace_back();
    return program;
  }

 private:
  using Program = std::vector<PatternStep>;
  using Kind = PatternStep::Kind;
  static constexpr std::size_t most_steps = 10'000;
  static constexpr int most_groups = 50;  // inside each other

  [[noreturn]] void fail(const std::string& what) const {
    throw ConfigError(message("the pattern \"", pattern_, "\" has ", what, " at position ", at_));
  }

  [[nodiscard]] bool more() const { return at_ < pattern_.size(); }
  [[nodiscard]] bool next_is(char c) const { return more() && pattern_[at_] == c; }
  bool take(char c) {
    if (!next_is(c)) return false;
    ++at_;
    return true;
  }

  static std::ptrdiff_t length(const Program& program) {
    return static_cast<std::ptrdiff_t>(program.size());
  }

  void append(Program& program, const Program& piece) const {
    if (program.size() + piece.size() > most_steps) fail("too many repetitions");
    program.insert(program.end(), piece.begin(), piece.end());
  }

  // a|b|c: each but the last begins with a choice and ends with a jump to the end of them all.
  Program alternatives() {
    if (++depth_ > most_groups) fail("too many groups inside each other");
    std::vector<Program> choices{sequence()};
    while (take('|')) choices.push_back(sequence());
    --depth_;
    std::ptrdiff_t rest = 0;
    for (const Program& choice : choices) rest += length(choice) + 2;
    rest -= 2;  // the last has neither choice nor jump
    Program program;
    for (std::size_t i = 0; i + 1 < choices.size(); ++i) {
      append(program, {{Kind::split, {}, 1, length(choices[i]) + 2}});
      append(program, choices[i]);
      rest -= length(choices[i]) + 2;
      append(program, {{Kind::jump, {}, rest + 1}});
    }
    append(program, choices.back());
    return program;
  }

  Program sequence() {
    Program program;
    while (more() && !next_is('|') && !next_is(')')) append(program, repeated(atom()));
    return program;
  }

  Program repeated(const Program& atom) {
    std::size_t least = 0;
    std::optional<std::size_t> most;
    if (take('*')) {
    } else if (take('+')) {
      least = 1;
    } else if (take('?')) {
      most = 1;
    } else if (take('{')) {
      std::tie(least, most) = bounds();
    } else {
      return atom;
    }
    if (!take('?')) {  // lazy: the same names match
      if (next_is('+')) fail("a possessive quantifier");
    }
    if (next_is('*') || next_is('+') || next_is('?') || next_is('{')) fail("a repeated quantifier");
    const bool is_assertion = atom.size() == 1 && atom[0].kind >= Kind::begin;
    if (is_assertion && !pattern_.substr(0, at_).ends_with(')')) fail("a quantifier of nothing");
    Program program;
    for (std::size_t i = 0; i < least; ++i) append(program, atom);
    if (!most) {
      append(program, {{Kind::split, {}, 1, length(atom) + 2}});
      append(program, atom);
      append(program, {{Kind::jump, {}, -(length(atom) + 1)}});
      return program;
    }
    for (std::size_t i = least; i < *most; ++i) {
      const auto skipped = static_cast<std::ptrdiff_t>(*most - i) * (length(atom) + 1);
      append(program, {{Kind::split, {}, 1, skipped}});
      append(program, atom);
    }
    return program;
  }

  // {n}, {n,}, {,n}, {m,n}; the brace is taken.
  std::pair<std::size_t, std::optional<std::size_t>> bounds() {
    const auto least = number();
    const bool comma = take(',');
    const auto most = comma ? number() : least;
    if (!take('}') || (!least && !most)) fail("a { that begins no {m,n}");
    if (most && least.value_or(0) > *most) fail("a {m,n} with m > n");
    return {least.value_or(0), most};
  }

  std::optional<std::size_t> number() {
    std::optional<std::size_t> value;
    for (; more() && pattern_[at_] >= '0' && pattern_[at_] <= '9'; ++at_) {
      value = value.value_or(0) * 10 + static_cast<std::size_t>(pattern_[at_] - '0');
      if (*value > most_steps) fail("too many repetitions");
    }
    return value;
  }

  Program atom() {
    const char c = pattern_[at_];
    if (static_cast<unsigned char>(c) >= 0x80) fail("a character outside ASCII");
    if (c == '*' || c == '+' || c == '?') fail("a quantifier of nothing");
    if (c == '{') fail("a { that begins no {m,n}");
    ++at_;
    switch (c) {
      case '(':
        return group();
      case '[':
        return {{Kind::character, bracketed()}};
      case '^':
        return {{Kind::begin}};
      case '$':
        return {{Kind::end}};
      case '.':
        return {{Kind::character, characters_where([](int any) { return any != '\n'; })}};
      case '\\':
        if (take('b')) return {{Kind::word_boundary}};
        if (take('B')) return {{Kind::no_word_boundary}};
        return {{Kind::character, escaped()}};
      default:
        return {{Kind::character, only(c)}};
    }
  }

  Program group() {
    if (take('?') && !take(':'))
      fail("(?" + std::string(pattern_.substr(at_, 1)) +
           ", a lookaround, flag, name, comment or reference,");
    Program program = alternatives();
    if (!take(')')) fail("a ( without its )");
    return program;
  }

  // [...]; the bracket is taken.
  CharacterSet bracketed() {
    const bool inverted = take('^');
    CharacterSet set;
    for (bool first = true;; first = false) {
      if (!more()) fail("a [ without its ]");
      if (!first && take(']')) break;
      const CharacterSet from = member();
      const bool range = at_ + 1 < pattern_.size() && next_is('-') && pattern_[at_ + 1] != ']';
      if (!range) {
        set |= from;
        continue;
      }
      ++at_;
      const CharacterSet to = member();
      if (from.count() != 1 || to.count() != 1) fail("a range of more than characters");
      const std::size_t low = from._Find_first(), high = to._Find_first();
      if (low > high) fail("a range that ends before it begins");
      for (std::size_t c = low; c <= high; ++c) set.set(c);
    }
    return inverted ? ~set : set;
  }

  CharacterSet member() {
    const char c = pattern_[at_++];
    if (static_cast<unsigned char>(c) >= 0x80) fail("a character outside ASCII");
    return c == '\\' ? escaped() : only(c);
  }

  // What follows a backslash.
  CharacterSet escaped() {
    if (!more()) fail("a \\ at its end");
    const char c = pattern_[at_++];
    const auto digit = [](int d) { return d >= '0' && d <= '9'; };
    const auto space = [](int s) { return s == ' ' || (s >= '\t' && s <= '\r'); };
    switch (c) {
      case 'd':
        return characters_where(digit);
      case 'D':
        return ~characters_where(digit);
      case 's':
        return characters_where(space);
      case 'S':
        return ~characters_where(space);
      case 'w':
        return word_characters();
      case 'W':
        return ~word_characters();
      case 't':
        return only('\t');
      case 'n':
        return only('\n');
      case 'r':
        return only('\r');
      case 'f':
        return only('\f');
      case 'v':
        return only('\v');
      default:
        break;
    }
    if (word_characters()[static_cast<unsigned char>(c)] && c != '_')
      fail(std::string("the escape \\") + c);
    return only(c);
  }

  static CharacterSet only(char c) {
    CharacterSet set;
    set.set(static_cast<unsigned char>(c));
    return set;
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace lora::peft::detail
