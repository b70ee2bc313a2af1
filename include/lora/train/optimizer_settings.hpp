#pragma once

#include "lora/optim/adalora.hpp"
#include "lora/optim/adamw.hpp"
#include "lora/optim/lora_fa.hpp"
#include "lora/optim/sgd.hpp"
#include "lora/train/run_settings.hpp"

namespace lora::train {

namespace detail {

[[nodiscard]] inline io::Json groups_json(const std::vector<ParameterGroup>& groups) {
  io::Json list = io::Json::array();
  for (const ParameterGroup& group : groups) {
    list.push_back({group.name_contains, group.learning_rate_ratio, nullptr});
    if (group.weight_decay) list.back()[2] = *group.weight_decay;
    if (group.whole_name) list.back().push_back("whole name");
  }
  return list;
}

[[nodiscard]] inline RunSettings settings_of(const char* optimizer, const AdamWConfig& config) {
  return RunSettings()
      .add("optimizer", optimizer)
      .add("learning_rate", config.learning_rate)
      .add("weight_decay", config.weight_decay)
      .add("beta1", config.beta1)
      .add("beta2", config.beta2)
      .add("epsilon", config.epsilon)
      .add("groups", groups_json(config.groups));
}

}  // namespace detail

/// Returns the settings of an AdamW, its learning rate as it was made, for RunSettings.
template <class T>
[[nodiscard]] RunSettings settings_of(const AdamW<T>& optimizer) {
  return detail::settings_of("AdamW", optimizer.config());
}

/// Does the same for LoRA-FA's.
template <class T>
[[nodiscard]] RunSettings settings_of(const LoRAFA<T>& optimizer) {
  return detail::settings_of("LoRA-FA", optimizer.config());
}

/// Does the same for an SGD.
template <class T>
[[nodiscard]] RunSettings settings_of(const SGD<T>& optimizer) {
  const SGDConfig& config = optimizer.config();
  return RunSettings()
      .add("optimizer", "SGD")
      .add("learning_rate", config.learning_rate)
      .add("weight_decay", config.weight_decay)
      .add("momentum", config.momentum)
      .add("dampening", config.dampening)
      .add("nesterov", config.nesterov)
      .add("groups", detail::groups_json(config.groups));
}

/// Does the same for AdaLoRA's: those of the inner optimizer and its own.
template <class T, class Inner>
[[nodiscard]] RunSettings settings_of(const AdaLoRA<T, Inner>& optimizer) {
  const AdaLoRAConfig& config = optimizer.adalora_config();
  return RunSettings()
      .add(settings_of(optimizer.inner()))
      .add("adalora.init_r", config.init_r)
      .add("adalora.target_r", config.target_r)
      .add("adalora.total_step", config.total_step)
      .add("adalora.tinit", config.tinit)
      .add("adalora.tfinal", config.tfinal)
      .add("adalora.delta_t", config.delta_t)
      .add("adalora.beta1", config.beta1)
      .add("adalora.beta2", config.beta2)
      .add("adalora.orth_reg_weight", config.orth_reg_weight)
      .add("adalora.alpha", config.alpha)
      .add("adalora.dropout", config.dropout);
}

}  // namespace lora::train
