#pragma once

#include <lora/peft/peft_config.hpp>
#include <string>
#include <vector>

#include "adapter_options.hpp"

namespace examples {

/// Returns the adapters that the options ask for, on the base that `model` names, for PEFT's
/// `task_type`: "SEQ_CLS", "CAUSAL_LM" ...
[[nodiscard]] inline lora::peft::PeftConfig adapter_config(const AdapterOptions& options,
                                                           const std::string& task_type,
                                                           const std::string& model) {
  lora::peft::PeftConfig config;
  config.r = options.rank;
  config.lora_alpha = options.alpha_or_default();
  config.use_dora = options.dora;
  config.lora_dropout = options.dropout;
  // Those that take a part of the weights begin when these are there: see WeightStarts.
  if (options.init == "gaussian" || options.init == "orthogonal")
    config.init_lora_weights = options.init;
  if (options.targets == std::vector<std::string>{"all-linear"})
    config.target_modules = options.targets.front();
  else
    config.target_modules = options.targets;
  config.task_type = task_type;
  config.base_model_name_or_path = model;
  return config;
}

}  // namespace examples
