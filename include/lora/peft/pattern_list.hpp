#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/peft/name_pattern.hpp"

namespace lora::peft {

/// The patterns of a list in adapter_config.json: modules_to_save, layers_pattern. Their
/// length together is bounded, because each is tried on every module of a model.
class PatternList {
 public:
  /// The most steps (NamePattern) of all patterns: those of a thousand full names.
  static constexpr std::size_t most_steps = 100'000;

  /// Appends a pattern. Throws ConfigError if it has a construct that is not known, or if all of
  /// them together have too many steps.
  void add(std::string_view pattern) {
    NamePattern compiled(pattern);
    if (steps_ + compiled.steps() > most_steps)
      throw ConfigError(message("the patterns are too many: with ", in_quotes(pattern),
                                " they have over ", most_steps, " steps"));
    patterns_.push_back(std::move(compiled));
    steps_ += patterns_.back().steps();
  }

  /// Tells whether one of them matches all of `name`.
  [[nodiscard]] bool any_matches(std::string_view name) const {
    return std::any_of(patterns_.begin(), patterns_.end(),
                       [&](const NamePattern& pattern) { return pattern.matches(name); });
  }

  [[nodiscard]] auto begin() const { return patterns_.begin(); }
  [[nodiscard]] auto end() const { return patterns_.end(); }
  [[nodiscard]] bool empty() const { return patterns_.empty(); }

 private:
  std::size_t steps_ = 0;
  std::vector<NamePattern> patterns_;
};

}  // namespace lora::peft
