#pragma once

#include <lora/models/common/tuning.hpp>
#include <string>
#include <vector>

namespace sentiment {

/// Names the ways of adapting that are compared, for options and drawing.
enum class Family { lora, full, bottleneck, last_layers, head };

/// The optimizer of a method.
enum class Steps {
  adamw,      ///< AdamW
  lora_plus,  ///< AdamW with LoRA+'s groups: B learns faster than A
  lora_fa,    ///< LoRA-FA's: A stays as it starts
};

/// One way of adapting the model.
struct Method {
  Family family = Family::lora;
  std::string name = {};    ///< for the table
  std::string folder = {};  ///< that its result is saved in
  lora::models::Tuning tuning = {};
  std::vector<double> learning_rates = {};         ///< to choose from
  Steps steps = Steps::adamw;                      ///< of LoRA
  lora::LoRAInit start = lora::LoRAInit::kaiming;  ///< of LoRA: or pissa, or olora
};

}  // namespace sentiment
