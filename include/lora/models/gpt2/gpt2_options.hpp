#pragma once

#include <cstdint>
#include <optional>

#include "lora/models/common/tuning.hpp"

namespace lora::models {

/// Settings of a GPT2Model that its files do not say.
struct GPT2Options {
  Tuning tuning = HeadOnly{};                    ///< what trains; HeadOnly: nothing
  std::uint64_t seed = 0;                        ///< of start values and dropout
  bool recompute_activations = false;            ///< gradient checkpointing, layer by layer
  std::optional<double> embedding_dropout = {};  ///< in [0, 1); the file's embd_pdrop if left out
  std::optional<double> residual_dropout = {};   ///< likewise, its resid_pdrop
  std::optional<double> attention_dropout = {};  ///< likewise, its attn_pdrop
};

}  // namespace lora::models
