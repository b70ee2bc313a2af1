#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/optim/parameter_group.hpp"

namespace lora {

/// What an optimizer remembers of its groups: which of them have matched a parameter. A group that
/// matches none is a slip of the pen that would train in silence like no group at all.
class GroupMatches {
 public:
  /// Notes that a parameter called `name` is stepped.
  void note(std::span<const ParameterGroup> groups, std::string_view name) {
    matched_.resize(groups.size());
    if (const ParameterGroup* group = group_of(groups, name))
      matched_[static_cast<std::size_t>(group - groups.data())] = true;
  }

  /// Throws ConfigError, naming `where`, if a group has matched nothing that was noted. To be
  /// called when parameters come again that were stepped before: then all of them have been seen,
  /// in one list or in several.
  void require_all(std::span<const ParameterGroup> groups, std::string_view where) const {
    for (std::size_t i = 0; i < groups.size(); ++i)
      if (!groups[i].may_match_nothing && (i >= matched_.size() || !matched_[i]))
        throw ConfigError(message(where, ": the group \"", printable(groups[i].name_contains),
                                  "\" matches no parameter that no group before it matches: "
                                  "correct it, or say may_match_nothing"));
  }

 private:
  std::vector<bool> matched_;
};

}  // namespace lora
