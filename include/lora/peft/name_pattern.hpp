#pragma once

#include <bitset>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/peft/name_pattern_parser.hpp"

namespace lora::peft {

/// Matches module names against a regular expression in Python's syntax, as adapter_config.json has
/// them. Patterns come from files that nobody vouches for, so matching takes time proportional to
/// name times pattern, whatever they are (Thompson, "Regular expression search algorithm", 1968),
/// where std::regex may take exponential time or exhaust the stack.
///
/// Known: literals, `.`, [classes], (groups), (?:groups), |, * + ? {m,n} and their lazy forms, ^ $
/// \b \B \d \D \w \W \s \S, escaped punctuation and \t \n \r \f \v, all in ASCII.
class NamePattern {
 public:
  /// Throws ConfigError, which names the construct that is not known.
  explicit NamePattern(std::string_view pattern)
      : program_(detail::NamePatternParser(pattern).parse()) {}

  /// Returns the length of the automaton, to which memory and time are proportional.
  [[nodiscard]] std::size_t steps() const { return program_.size(); }

  /// Tells whether the pattern matches all of `name`: re.fullmatch(PATTERN, name).
  [[nodiscard]] bool matches(std::string_view name) const {
    const auto all = ends(name, 0, false);
    return !all.empty() && all.back() == name.size();
  }

  /// Tells whether it matches all of `name` or all that follows one of its dots:
  /// re.match(r"(.*\.)?(PATTERN)$", name), the rule of PEFT's get_pattern_key.
  [[nodiscard]] bool matches_end(std::string_view name) const {
    const auto all = ends(name, 0, true);
    return !all.empty() && all.back() == name.size();
  }

  /// Returns where in `name` the matches end that begin at `begin`, in rising order.
  [[nodiscard]] std::vector<std::size_t> ends_from(std::string_view name, std::size_t begin) const {
    return ends(name, begin, false);
  }

 private:
  using Step = detail::PatternStep;

  // The steps that the automaton may be at, each once.
  struct Front {
    std::vector<std::size_t> steps;
    std::vector<bool> seen;
  };

  // The ends of the matches that begin at `begin` or, with after_dots, behind a dot after it.
  [[nodiscard]] std::vector<std::size_t> ends(std::string_view name, std::size_t begin,
                                              bool after_dots) const {
    std::vector<std::size_t> found;
    Front now, then;
    std::vector<std::size_t> pending;
    now.seen.resize(program_.size());
    for (std::size_t at = begin;; ++at) {
      if (at == begin || (after_dots && name[at - 1] == '.')) advance(0, name, at, now, pending);
      if (now.seen.back()) found.push_back(at);  // the last step is the match
      if (at == name.size() || (now.steps.empty() && !after_dots)) return found;
      then.steps.clear();
      then.seen.assign(program_.size(), false);
      for (const std::size_t step : now.steps)
        if (program_[step].kind == Step::Kind::character &&
            program_[step].characters[static_cast<unsigned char>(name[at])])
          advance(step + 1, name, at + 1, then, pending);
      std::swap(now, then);
    }
  }

  // Adds to `front` what can be reached from `step` without taking a character.
  void advance(std::size_t step, std::string_view name, std::size_t at, Front& front,
               std::vector<std::size_t>& pending) const {
    const auto target = [](std::size_t from, std::ptrdiff_t offset) {
      return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(from) + offset);
    };
    pending.assign(1, step);
    while (!pending.empty()) {
      const std::size_t i = pending.back();
      pending.pop_back();
      if (front.seen[i]) continue;
      front.seen[i] = true;
      front.steps.push_back(i);
      const Step& instruction = program_[i];
      switch (instruction.kind) {
        case Step::Kind::character:
        case Step::Kind::match:
          break;
        case Step::Kind::split:
          pending.push_back(target(i, instruction.other));
          [[fallthrough]];
        case Step::Kind::jump:
          pending.push_back(target(i, instruction.next));
          break;
        default:
          if (holds(instruction.kind, name, at)) pending.push_back(i + 1);
      }
    }
  }

  [[nodiscard]] static bool holds(Step::Kind assertion, std::string_view name, std::size_t at) {
    if (assertion == Step::Kind::begin) return at == 0;
    if (assertion == Step::Kind::end) return at == name.size();
    const bool before =
        at > 0 && detail::word_characters()[static_cast<unsigned char>(name[at - 1])];
    const bool after =
        at < name.size() && detail::word_characters()[static_cast<unsigned char>(name[at])];
    return (before != after) == (assertion == Step::Kind::word_boundary);
  }

  std::vector<Step> program_;
};

}  // namespace lora::peft
