#pragma once

#include <variant>

#include "lora/core/matrix.hpp"
#include "lora/peft/peft_config.hpp"

namespace lora::models {

/// Trains the head alone: the classifier on top of a frozen model.
struct HeadOnly {};

/// Trains every weight.
struct FullTuning {};

/// Trains the last `count` layers of the encoder, its pooler and the head.
struct LastLayers {
  Index count = 1;  ///< at least 0; 0 trains pooler and head
};

/// Trains bottleneck adapters after both halves of every layer, the layer norms and the head
/// (Houlsby et al., "Parameter-efficient transfer learning for NLP", 2019).
struct BottleneckAdapters {
  Index features = 64;  ///< width of the bottleneck, at least 1
};

/// Says what of a model trains: an peft::PeftConfig stands for LoRA by PEFT's rules.
using Tuning = std::variant<HeadOnly, peft::PeftConfig, FullTuning, LastLayers, BottleneckAdapters>;

}  // namespace lora::models
