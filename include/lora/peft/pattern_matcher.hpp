#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/utf8.hpp"
#include "lora/peft/pattern_program.hpp"

namespace lora::peft::detail {

/// A run of a program over one name, all steps at once: its time is proportional to name times
/// program (Thompson, "Regular expression search algorithm", 1968). Lookarounds are answered first,
/// each by one pass for all places. Views the program.
class PatternMatcher {
 public:
  PatternMatcher(const PatternProgram& program, std::string_view name) : program_(program) {
    for (std::size_t at = 0; at < name.size();) {
      const CodePoint c = code_point_at(name, at);
      characters_ += c.value;
      offsets_.push_back(at);
      at += c.length;
    }
    offsets_.push_back(name.size());
    in_set_.resize(program.sets.size());
    for (const PatternLook& look : program.looks) {
      std::vector<bool> holds(size() + 1, !look.wanted);
      // From each place, read towards the places that may lie at its other end.
      const auto everywhere = [](std::size_t) { return true; };
      run(look.steps, look.ahead ? size() : 0, look.ahead, everywhere, everywhere,
          [&](std::size_t at) { holds[at] = look.wanted; });
      looks_.push_back(std::move(holds));
    }
  }

  /// Returns the bytes at which the matches end that begin at byte `begin`, or with `after_dots` at
  /// the first byte or behind a dot that no line feed precedes; in rising order.
  [[nodiscard]] std::vector<std::size_t> ends(std::size_t begin, bool after_dots) {
    const auto first = static_cast<std::size_t>(
        std::lower_bound(offsets_.begin(), offsets_.end(), begin) - offsets_.begin());
    const std::size_t line = std::min(characters_.find(U'\n'), size());
    const std::size_t dot = after_dots ? characters_.rfind(U'.') : std::u32string::npos;
    std::vector<std::size_t> found;
    if (first > size()) return found;
    run(
        program_.steps, first, false,
        [&](std::size_t at) {
          return at == first || (after_dots && at <= line && characters_[at - 1] == U'.');
        },
        [&](std::size_t at) { return dot != std::u32string::npos && at <= dot; },
        [&](std::size_t at) { found.push_back(offsets_[at]); });
    return found;
  }

 private:
  using Kind = PatternStep::Kind;

  // The steps that the automaton may be at, each once.
  struct Front {
    std::vector<std::size_t> steps;
    std::vector<bool> seen;
  };

  [[nodiscard]] std::size_t size() const { return characters_.size(); }

  // Reads from `first` to the end of the name, or backwards to its beginning, with a new match at
  // each place that `starts` says, as long as `more_start` behind the place at hand; calls
  // found(place) where one is complete.
  template <class Starts, class MoreStart, class Found>
  void run(const std::vector<PatternStep>& steps, std::size_t first, bool backwards,
           const Starts& starts, const MoreStart& more_start, const Found& found) {
    Front now, then;
    now.seen.resize(steps.size());
    for (std::size_t at = first;;) {
      if (starts(at)) advance(steps, 0, at, now);
      if (now.seen.back()) found(at);  // the last step is the match
      if (at == (backwards ? 0 : size()) || (now.steps.empty() && !more_start(at))) return;
      const std::size_t next = backwards ? at - 1 : at + 1;
      const char32_t c = characters_[std::min(at, next)];
      std::fill(in_set_.begin(), in_set_.end(), std::int8_t{-1});
      then.steps.clear();
      then.seen.assign(steps.size(), false);
      for (const std::size_t step : now.steps)
        if (takes(steps[step], c)) advance(steps, step + 1, next, then);
      std::swap(now, then);
      at = next;
    }
  }

  // Each set is asked once about a character, however many steps have it.
  [[nodiscard]] bool takes(const PatternStep& step, char32_t c) {
    if (step.kind == Kind::character) return step.operand == static_cast<std::uint32_t>(c);
    if (step.kind != Kind::set) return false;
    std::int8_t& known = in_set_[step.operand];
    if (known < 0) known = program_.sets[step.operand].contains(c) ? 1 : 0;
    return known == 1;
  }

  // Adds to `front` what can be reached from `step` without taking a character.
  void advance(const std::vector<PatternStep>& steps, std::size_t step, std::size_t at,
               Front& front) {
    const auto target = [](std::size_t from, std::int32_t offset) {
      return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(from) + offset);
    };
    pending_.assign(1, step);
    while (!pending_.empty()) {
      const std::size_t i = pending_.back();
      pending_.pop_back();
      if (front.seen[i]) continue;
      front.seen[i] = true;
      front.steps.push_back(i);
      const PatternStep& instruction = steps[i];
      switch (instruction.kind) {
        case Kind::character:
        case Kind::set:
        case Kind::match:
          break;
        case Kind::split:
          pending_.push_back(target(i, instruction.other));
          [[fallthrough]];
        case Kind::jump:
          pending_.push_back(target(i, instruction.next));
          break;
        default:
          if (holds(instruction, at)) pending_.push_back(i + 1);
      }
    }
  }

  [[nodiscard]] bool holds(const PatternStep& assertion, std::size_t at) const {
    if (assertion.kind == Kind::look) return looks_[assertion.operand][at];
    if (assertion.kind == Kind::begin) return at == 0;
    if (assertion.kind == Kind::end)  // before a line feed at the end too, as in Python
      return at == size() || (at + 1 == size() && characters_[at] == U'\n');
    const bool before = at > 0 && is_word(characters_[at - 1]);
    const bool after = at < size() && is_word(characters_[at]);
    return (before != after) == (assertion.kind == Kind::word_boundary);
  }

  const PatternProgram& program_;
  std::u32string characters_;
  std::vector<std::size_t> offsets_;      // of each character in the name, and the name's size
  std::vector<std::vector<bool>> looks_;  // whether each holds, by place
  std::vector<std::int8_t> in_set_;  // whether the character at hand is in each set; -1: not asked
  std::vector<std::size_t> pending_;
};

}  // namespace lora::peft::detail
