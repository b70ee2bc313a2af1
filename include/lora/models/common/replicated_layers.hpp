#pragma once

#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/matrix.hpp"
#include "lora/models/common/tuning.hpp"

namespace lora::models {

/// Returns which of a model's `layers` each layer is under `tuning`, whose layer_replication may
/// repeat some, leave some out or change their order; nothing where they are all as they are
/// (PEFT's replicate_layers). Throws ConfigError, naming `where`, for ranges without a layer and
/// for one that the model does not have.
[[nodiscard]] inline std::vector<Index> replicated_layers(const Tuning& tuning, Index layers,
                                                          std::string_view where) {
  const auto* const config = std::get_if<peft::PeftConfig>(&tuning);
  std::vector<Index> sources;
  if (config == nullptr || config->layer_replication.empty()) return sources;
  for (const auto& [begin, end] : config->layer_replication) {
    if (begin < 0 || end > layers || begin > end)
      throw ConfigError(message(where, ": layer_replication has [", begin, ", ", end,
                                "], expected layers in [0, ", layers, "]"));
    for (Index i = begin; i < end; ++i) sources.push_back(i);
    if (sources.size() > 1'000'000)
      throw ConfigError(message(where, ": layer_replication makes more than a million layers"));
  }
  if (sources.empty())
    throw ConfigError(message(where, ": layer_replication has no layer, expected at least one"));
  return sources;
}

}  // namespace lora::models
