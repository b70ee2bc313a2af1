#pragma once

#include <cstdint>
#include <optional>

#include "lora/models/common/tuning.hpp"

namespace lora::models {

/// Settings of a LlamaModel that its files do not say.
struct LlamaOptions {
  Tuning tuning = HeadOnly{};                    ///< what trains; HeadOnly: nothing
  std::uint64_t seed = 0;                        ///< of start values and dropout
  bool recompute_activations = false;            ///< gradient checkpointing, layer by layer
  std::optional<double> attention_dropout = {};  ///< in [0, 1); the file's if left out
};

}  // namespace lora::models
