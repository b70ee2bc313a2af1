#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lora/core/number_checks.hpp"

namespace lora {

/// Settings of their own for some parameters: for those whose name contains `name_contains` and no
/// group before it matches. LoRA+ (Hayou et al., 2024) lets B learn faster than A:
/// `{.name_contains = "lora_B", .learning_rate_ratio = 16}`. What matches no parameter is refused,
/// because "lora_b" would train like no group at all; see GroupMatches.
struct ParameterGroup {
  std::string name_contains = {};           ///< part of the parameter's name; empty: every name
  double learning_rate_ratio = 1;           ///< times the optimizer's learning rate
  std::optional<double> weight_decay = {};  ///< instead of the optimizer's
  bool may_match_nothing = false;           ///< as a group for biases, where a model may have none
  bool whole_name = false;                  ///< name_contains is a parameter's whole name

  friend bool operator==(const ParameterGroup&, const ParameterGroup&) = default;
};

/// Returns the first group that `name` belongs to, or null.
[[nodiscard]] inline const ParameterGroup* group_of(std::span<const ParameterGroup> groups,
                                                    std::string_view name) {
  for (const ParameterGroup& group : groups)
    if (group.whole_name ? name == group.name_contains
                         : name.find(group.name_contains) != std::string_view::npos)
      return &group;
  return nullptr;
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
