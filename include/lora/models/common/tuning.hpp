#pragma once

#include <string>
#include <variant>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/peft/peft_config.hpp"

namespace lora::models {

/// Trains the head alone: a classifier on top of a frozen model.
struct HeadOnly {};

/// Trains every weight.
struct FullTuning {};

/// Trains the last `count` blocks, what stands above them (a pooler), and the head.
struct LastLayers {
  Index count = 1;  ///< at least 0; 0 trains what stands above the blocks
};

/// Trains the modules of these names as a whole, and the head: batch norms alone, for instance. A
/// name selects as one of PEFT's modules_to_save does, by the end of a module's path.
struct ModulesOnly {
  std::vector<std::string> names = {};  ///< at least one, and each selects a module
};

/// Trains bottleneck adapters after both halves of every block, the norms there, and the head
/// (Houlsby et al., "Parameter-efficient transfer learning for NLP", 2019).
struct BottleneckAdapters {
  Index features = 64;  ///< width of the bottleneck, at least 1
};

/// The part of a model that trains; a peft::PeftConfig stands for LoRA by PEFT's rules.
using Tuning = std::variant<HeadOnly, peft::PeftConfig, FullTuning, LastLayers, ModulesOnly,
                            BottleneckAdapters>;

}  // namespace lora::models
