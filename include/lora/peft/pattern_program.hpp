#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <vector>

#include "lora/peft/character_set.hpp"

namespace lora::peft::detail {

/// One step of a NamePattern's automaton; targets are relative to the step, so that a piece of
/// program can be copied anywhere.
struct PatternStep {
  enum class Kind : std::uint8_t {
    character,  ///< takes the code point `operand`
    set,        ///< takes one of PatternProgram::sets
    split,      ///< goes on at `next` and at `other`
    jump,       ///< goes on at `next`
    begin,      ///< this kind and those below take nothing
    end,
    word_boundary,
    no_word_boundary,
    look,   ///< holds where one of PatternProgram::looks does
    match,  ///< the end
  };
  Kind kind = Kind::match;
  std::uint32_t operand = 0;
  std::int32_t next = 1;
  std::int32_t other = 1;
};

/// A lookaround. Its steps read backwards where it looks ahead, so that one pass over a name tells
/// of every place at once whether it holds there.
struct PatternLook {
  std::vector<PatternStep> steps;
  bool ahead = true;
  bool wanted = true;  ///< false for (?!...) and (?<!...)
};

/// A pattern translated into steps, of which the last is the match.
struct PatternProgram {
  std::vector<PatternStep> steps;
  std::vector<CharacterSet> sets;
  std::vector<PatternLook> looks;  ///< those inside of others before them

  /// Returns the number of all steps, to which memory and time are proportional.
  [[nodiscard]] std::size_t size() const {
    return std::accumulate(
        looks.begin(), looks.end(), steps.size(),
        [](std::size_t sum, const PatternLook& look) { return sum + look.steps.size(); });
  }
};

/// Tells whether everything that the steps match has one length, as Python demands of what is
/// looked for behind a place: every step is then reached after as many characters on all ways.
[[nodiscard]] inline bool has_one_length(const std::vector<PatternStep>& steps) {
  using Kind = PatternStep::Kind;
  std::vector<std::optional<std::size_t>> taken(steps.size());
  std::vector<std::size_t> pending{0};
  taken.front() = 0;
  while (!pending.empty()) {
    const std::size_t i = pending.back();
    pending.pop_back();
    const PatternStep& step = steps[i];
    const bool takes = step.kind == Kind::character || step.kind == Kind::set;
    const auto reach = [&](std::int32_t offset) {
      const auto target = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(i) + offset);
      const std::size_t count = *taken[i] + (takes ? 1 : 0);
      if (taken[target]) return *taken[target] == count;
      taken[target] = count;
      pending.push_back(target);
      return true;
    };
    if (step.kind == Kind::match) continue;
    if (!reach(step.next) || (step.kind == Kind::split && !reach(step.other))) return false;
  }
  return true;
}

}  // namespace lora::peft::detail
