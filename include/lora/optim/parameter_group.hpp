#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"

namespace lora {

/// Gives some parameters settings of their own: those whose name contains `name_contains`.
/// LoRA+ (Hayou et al., 2024) lets B learn faster than A: `{.name_contains = "lora_B",
/// .learning_rate_ratio = 16}`.
struct ParameterGroup {
  std::string name_contains = {};           ///< part of the parameter's name; empty: every name
  double learning_rate_ratio = 1;           ///< times the optimizer's learning rate
  std::optional<double> weight_decay = {};  ///< instead of the optimizer's

  friend bool operator==(const ParameterGroup&, const ParameterGroup&) = default;
};

/// Returns the first group that `name` belongs to, or one of neutral settings.
[[nodiscard]] inline ParameterGroup group_of(std::span<const ParameterGroup> groups,
                                             std::string_view name) {
  for (const ParameterGroup& group : groups)
    if (name.find(group.name_contains) != std::string_view::npos) return group;
  return {};
}

/// Throws ConfigError, naming `where` and `what`, unless `value` is finite and at least zero.
inline void require_non_negative(double value, std::string_view where, std::string_view what) {
  if (!(is_finite(value) && value >= 0))
    throw ConfigError(
        message(where, ": ", what, " is ", value, ", expected a finite number of at least 0"));
}

/// Throws ConfigError, naming `where`, unless every group's numbers are finite and at least zero.
inline void validate(std::span<const ParameterGroup> groups, std::string_view where) {
  for (const ParameterGroup& group : groups) {
    require_non_negative(group.learning_rate_ratio, where, "a group's learning_rate_ratio");
    if (group.weight_decay)
      require_non_negative(*group.weight_decay, where, "a group's weight_decay");
  }
}

}  // namespace lora
