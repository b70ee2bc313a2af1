#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/peft/name_pattern.hpp"

namespace lora::peft {

/// A map from module names to values by patterns: rank_pattern and alpha_pattern of
/// adapter_config.json. The first pattern, in order of insertion, that matches the end of a name
/// (NamePattern) decides.
template <class Value>
class PatternMap {
 public:
  struct Entry {
    std::string pattern;
    Value value;
  };

  /// Appends a pattern. Throws ConfigError if it has a construct that is not known, or if all of
  /// them together would need more memory (some 30 MB) and time than honest ones do.
  void add(std::string pattern, Value value) {
    NamePattern compiled(pattern);
    if (steps_ + compiled.steps() > most_steps)
      throw ConfigError(message("the patterns are too many: with ", in_quotes(pattern),
                                " they have over ", most_steps, " steps"));
    entries_.push_back({std::move(pattern), std::move(value)});
    try {
      compiled_.push_back(std::move(compiled));
    } catch (...) {
      entries_.pop_back();
      throw;
    }
    steps_ += compiled_.back().steps();
  }

  /// Returns the value for `name`, or null.
  [[nodiscard]] const Value* find(std::string_view name) const {
    for (std::size_t i = 0; i < compiled_.size(); ++i)
      if (compiled_[i].matches_end(name)) return &entries_[i].value;
    return nullptr;
  }

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] bool empty() const { return entries_.empty(); }

 private:
  static constexpr std::size_t most_steps = 500'000;

  std::size_t steps_ = 0;
  std::vector<Entry> entries_;
  std::vector<NamePattern> compiled_;
};

}  // namespace lora::peft
