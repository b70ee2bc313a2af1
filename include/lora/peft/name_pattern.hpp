#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lora/peft/name_pattern_parser.hpp"
#include "lora/peft/pattern_matcher.hpp"

namespace lora::peft {

/// A regular expression in Python's syntax, as adapter_config.json has them, for module names.
/// Patterns come from files that nobody vouches for, so matching takes time proportional to name
/// times pattern, whatever they are, where std::regex may take exponential time or exhaust the
/// stack. Names and patterns are UTF-8, and characters are Python's: \w matches ö.
///
/// Known: literals, `.`, [classes], (groups), (?:groups), |, * + ? {m,n} and their lazy forms, ^ $
/// \b \B \d \D \w \W \s \S, escaped punctuation and \t \n \r \f \v, and the lookarounds (?=...),
/// (?!...), (?<=...) and (?<!...), the latter two of what has one length.
class NamePattern {
 public:
  /// The longest pattern that is read, in bytes.
  static constexpr std::size_t most_bytes = detail::NamePatternParser::most_bytes;

  /// Throws ConfigError, which names the construct that is not known.
  explicit NamePattern(std::string_view pattern)
      : program_(detail::NamePatternParser(pattern).parse()) {}

  /// Returns the length of the automaton, to which memory and time are proportional.
  [[nodiscard]] std::size_t steps() const { return program_.size(); }

  /// Tells whether the pattern matches all of `name`: re.fullmatch(PATTERN, name).
  [[nodiscard]] bool matches(std::string_view name) const {
    const auto all = ends_from(name, 0);
    return !all.empty() && all.back() == name.size();
  }

  /// Tells whether it matches all of `name` or all that follows one of its dots:
  /// re.match(r"(.*\.)?(PATTERN)$", name), the rule of PEFT's get_pattern_key.
  [[nodiscard]] bool matches_end(std::string_view name) const {
    const auto all = detail::PatternMatcher(program_, name).ends(0, true);
    const std::size_t line = name.ends_with('\n') ? name.size() - 1 : name.size();
    return std::any_of(all.rbegin(), all.rend(), [&](std::size_t end) { return end >= line; });
  }

  /// Returns where in `name` the matches end that begin at `begin`, in bytes and rising order.
  [[nodiscard]] std::vector<std::size_t> ends_from(std::string_view name, std::size_t begin) const {
    return detail::PatternMatcher(program_, name).ends(begin, false);
  }

 private:
  detail::PatternProgram program_;
};

namespace detail {

/// Returns a pattern that matches `name` alone, as a whole.
[[nodiscard]] inline std::string literal_pattern(std::string_view name) {
  std::string pattern;
  for (const char c : name) {
    if (std::string_view(".^$*+?{}[]\\|()").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace detail
}  // namespace lora::peft
