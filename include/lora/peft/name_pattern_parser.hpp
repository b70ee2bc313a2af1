#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/core/utf8.hpp"
#include "lora/peft/pattern_program.hpp"

namespace lora::peft::detail {

/// The translator of a pattern into a program. Throws ConfigError, which names the construct that
/// is not known and its place, in characters.
class NamePatternParser {
 public:
  /// The longest pattern, in bytes: that of two thousand full names.
  static constexpr std::size_t most_bytes = 100'000;

  explicit NamePatternParser(std::string_view pattern) : text_(pattern) {
    if (pattern.size() > most_bytes) throw ConfigError("the pattern is too long");
    for (std::size_t at = 0; at < pattern.size();) {
      const CodePoint c = code_point_at(pattern, at);
      pattern_ += c.value;
      at += c.length;
    }
  }

  [[nodiscard]] PatternProgram parse() {
    program_.steps = alternatives();
    if (more()) fail("an unbalanced )");
    program_.steps.emplace_back();
    if (program_.size() > most_steps_) fail("too many repetitions");
    return std::move(program_);
  }

 private:
  using Steps = std::vector<PatternStep>;
  using Kind = PatternStep::Kind;
  static constexpr int most_groups = 50;  // inside each other

  [[noreturn]] void fail(const std::string& what) const {
    throw ConfigError(
        message("the pattern ", in_quotes(text_), " has ", what, " at position ", at_));
  }

  [[nodiscard]] bool more() const { return at_ < pattern_.size(); }
  [[nodiscard]] bool next_is(char32_t c) const { return more() && pattern_[at_] == c; }
  bool take(char32_t c) {
    if (!next_is(c)) return false;
    ++at_;
    return true;
  }

  static std::int32_t length(const Steps& steps) { return static_cast<std::int32_t>(steps.size()); }

  void append(Steps& steps, const Steps& piece) const {
    if (steps.size() + piece.size() > most_steps_) fail("too many repetitions");
    steps.insert(steps.end(), piece.begin(), piece.end());
  }

  // a|b|c: each but the last begins with a choice and ends with a jump to the end of them all.
  Steps alternatives() {
    if (++depth_ > most_groups) fail("too many groups inside each other");
    std::vector<Steps> choices{sequence()};
    while (take(U'|')) choices.push_back(sequence());
    --depth_;
    std::int32_t rest = 0;
    for (const Steps& choice : choices) rest += length(choice) + 2;
    rest -= 2;  // the last has neither choice nor jump
    Steps steps;
    for (std::size_t i = 0; i + 1 < choices.size(); ++i) {
      append(steps, {{Kind::split, 0, 1, length(choices[i]) + 2}});
      append(steps, choices[i]);
      rest -= length(choices[i]) + 2;
      append(steps, {{Kind::jump, 0, rest + 1}});
    }
    append(steps, choices.back());
    return steps;
  }

  Steps sequence() {
    std::vector<Steps> pieces;
    std::size_t total = 0;
    while (more() && !next_is(U'|') && !next_is(U')')) {
      pieces.push_back(repeated(atom()));
      if ((total += pieces.back().size()) > most_steps_) fail("too many repetitions");
    }
    Steps steps;
    steps.reserve(total);
    if (backwards_)
      for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) append(steps, *piece);
    else
      for (const Steps& piece : pieces) append(steps, piece);
    return steps;
  }

  Steps repeated(const Steps& atom) {
    const bool is_assertion =
        atom.size() == 1 && atom[0].kind >= Kind::begin && pattern_[at_ - 1] != U')';
    std::size_t least = 0;
    std::optional<std::size_t> most;
    if (take(U'*')) {
    } else if (take(U'+')) {
      least = 1;
    } else if (take(U'?')) {
      most = 1;
    } else if (take(U'{')) {
      std::tie(least, most) = bounds();
    } else {
      return atom;
    }
    if (!take(U'?')) {  // lazy: the same names match
      if (next_is(U'+')) fail("a possessive quantifier");
    }
    if (next_is(U'*') || next_is(U'+') || next_is(U'?') || next_is(U'{'))
      fail("a repeated quantifier");
    if (is_assertion) fail("a quantifier of nothing");
    Steps steps;
    for (std::size_t i = 0; i < least; ++i) append(steps, atom);
    if (!most) {
      append(steps, {{Kind::split, 0, 1, length(atom) + 2}});
      append(steps, atom);
      append(steps, {{Kind::jump, 0, -(length(atom) + 1)}});
      return steps;
    }
    for (std::size_t i = least; i < *most; ++i) {
      const auto skipped = static_cast<std::int32_t>(*most - i) * (length(atom) + 1);
      append(steps, {{Kind::split, 0, 1, skipped}});
      append(steps, atom);
    }
    return steps;
  }

  // {n}, {n,}, {,n}, {m,n}; the brace is taken.
  std::pair<std::size_t, std::optional<std::size_t>> bounds() {
    const auto least = number();
    const bool comma = take(U',');
    const auto most = comma ? number() : least;
    if (!take(U'}') || (!least && !most)) fail("a { that begins no {m,n}");
    if (most && least.value_or(0) > *most) fail("a {m,n} with m > n");
    return {least.value_or(0), most};
  }

  std::optional<std::size_t> number() {
    std::optional<std::size_t> value;
    for (; more() && pattern_[at_] >= U'0' && pattern_[at_] <= U'9'; ++at_) {
      value = value.value_or(0) * 10 + static_cast<std::size_t>(pattern_[at_] - U'0');
      if (*value > most_steps_) fail("too many repetitions");
    }
    return value;
  }

  Steps atom() {
    const char32_t c = pattern_[at_];
    if (c == U'*' || c == U'+' || c == U'?') fail("a quantifier of nothing");
    if (c == U'{') fail("a { that begins no {m,n}");
    ++at_;
    switch (c) {
      case U'(':
        return group();
      case U'[':
        return {set(bracketed())};
      case U'^':
        return {{Kind::begin}};
      case U'$':
        return {{Kind::end}};
      case U'.': {
        CharacterSet any;
        any.add(U'\n', U'\n');
        any.invert();
        return {set(std::move(any))};
      }
      case U'\\':
        if (take(U'b')) return {{Kind::word_boundary}};
        if (take(U'B')) return {{Kind::no_word_boundary}};
        return {step(escape())};
      default:
        return {step({c, nullptr, false})};
    }
  }

  // The parenthesis is taken.
  Steps group() {
    if (!take(U'?') || take(U':')) return closed(alternatives());
    const bool behind = take(U'<');
    if (!next_is(U'=') && !next_is(U'!'))
      fail("(?" + std::string(behind ? "<" : "") + next() +
           ", a flag, name, comment or reference,");
    const bool wanted = next_is(U'=');
    ++at_;
    const bool outside = std::exchange(backwards_, !behind);
    Steps steps = closed(alternatives());
    backwards_ = outside;
    steps.emplace_back();
    if (behind && !has_one_length(steps)) fail("(?<, a look behind that does not have one length,");
    if (program_.size() + steps.size() > most_steps_) fail("too many repetitions");
    program_.looks.push_back({std::move(steps), !behind, wanted});
    return {{Kind::look, static_cast<std::uint32_t>(program_.looks.size() - 1)}};
  }

  Steps closed(Steps steps) {
    if (!take(U')')) fail("a ( without its )");
    return steps;
  }

  // The next character, where it is one of ASCII, for messages.
  [[nodiscard]] std::string next() const {
    return more() && pattern_[at_] < 0x80 ? std::string(1, static_cast<char>(pattern_[at_])) : "";
  }

  // One character, or a class of them.
  struct Member {
    char32_t character;
    bool (*class_)(char32_t);
    bool inverted;
  };

  [[nodiscard]] PatternStep set(CharacterSet characters) {
    program_.sets.push_back(std::move(characters));
    return {Kind::set, static_cast<std::uint32_t>(program_.sets.size() - 1)};
  }

  [[nodiscard]] PatternStep step(const Member& member) {
    if (member.class_ == nullptr)
      return {Kind::character, static_cast<std::uint32_t>(member.character)};
    CharacterSet characters;
    characters.add(member.class_, member.inverted);
    return set(std::move(characters));
  }

  // [...]; the bracket is taken.
  CharacterSet bracketed() {
    CharacterSet characters;
    if (take(U'^')) characters.invert();
    for (bool first = true;; first = false) {
      if (!more()) fail("a [ without its ]");
      if (!first && take(U']')) return characters;
      const Member from = member();
      const bool range = at_ + 1 < pattern_.size() && next_is(U'-') && pattern_[at_ + 1] != U']';
      if (!range) {
        if (from.class_ != nullptr)
          characters.add(from.class_, from.inverted);
        else
          characters.add(from.character, from.character);
        continue;
      }
      ++at_;
      const Member to = member();
      if (from.class_ != nullptr || to.class_ != nullptr) fail("a range of more than characters");
      if (from.character > to.character) fail("a range that ends before it begins");
      characters.add(from.character, to.character);
    }
  }

  Member member() {
    const char32_t c = pattern_[at_++];
    return c == U'\\' ? escape() : Member{c, nullptr, false};
  }

  // What follows a backslash.
  Member escape() {
    if (!more()) fail("a \\ at its end");
    const char32_t c = pattern_[at_++];
    switch (c) {
      case U'd':
      case U'D':
        return {0, is_digit, c == U'D'};
      case U's':
      case U'S':
        return {0, is_space, c == U'S'};
      case U'w':
      case U'W':
        return {0, is_word, c == U'W'};
      case U't':
        return {U'\t', nullptr, false};
      case U'n':
        return {U'\n', nullptr, false};
      case U'r':
        return {U'\r', nullptr, false};
      case U'f':
        return {U'\f', nullptr, false};
      case U'v':
        return {U'\v', nullptr, false};
      default:
        if (c < 0x80 && is_word(c) && c != U'_')
          fail(std::string("the escape \\") + static_cast<char>(c));
        return {c, nullptr, false};
    }
  }

  std::string_view text_;
  // Of all programs together; names without repetitions need less than two for each of their bytes.
  std::size_t most_steps_ = std::max<std::size_t>(10'000, 2 * text_.size());
  std::u32string pattern_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool backwards_ = false;  // inside a look ahead: see PatternLook
  PatternProgram program_;
};

}  // namespace lora::peft::detail
