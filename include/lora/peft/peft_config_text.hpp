#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "lora/peft/peft_config.hpp"

namespace lora::peft {
namespace detail {

/// Returns null for an empty list or string, and otherwise the value itself.
template <class Value>
[[nodiscard]] io::Json null_if_empty(const Value& value) {
  return value.empty() ? io::Json() : io::Json(value);
}

/// Returns null, a list or a string.
[[nodiscard]] inline io::Json json_of(const ModuleNames& names) {
  if (const auto* list = std::get_if<std::vector<std::string>>(&names)) return *list;
  if (const auto* pattern = std::get_if<std::string>(&names)) return *pattern;
  return nullptr;
}

/// Returns an integer where the number is one, as PEFT writes alphas.
[[nodiscard]] inline io::Json json_of(double number) {
  if (std::trunc(number) == number && std::abs(number) < 0x1p53)
    return static_cast<std::int64_t>(number);
  return number;
}

/// Returns {pattern: number, ...}.
template <class Value>
[[nodiscard]] io::Json json_of(const PatternMap<Value>& patterns) {
  io::Json object = io::Json::object();
  for (const auto& [pattern, value] : patterns.entries()) object[pattern] = json_of(double(value));
  return object;
}

/// Returns the keys of PEFT 0.21.2 that are not PeftConfig's own, with their defaults.
[[nodiscard]] inline io::Json other_peft_keys() {
  io::Json keys = io::Json::object();
  for (const char* key : {"alora_invocation_tokens", "arrow_config", "auto_mapping", "corda_config",
                          "eva_config", "kasa_config", "layer_replication", "lora_ga_config",
                          "megatron_config", "monteclora_config", "revision", "target_parameters",
                          "trainable_token_indices", "use_bdlora", "velora_config"})
    keys[key] = nullptr;
  for (const char* key :
       {"ensure_weight_tying", "fan_in_fan_out", "lora_bias", "use_dora", "use_qalora"})
    keys[key] = false;
  keys["loftq_config"] = io::Json::object();
  keys["megatron_core"] = "megatron.core";
  keys["qalora_group_size"] = 16;
  return keys;
}

}  // namespace detail

inline std::string peft_config_text(const PeftConfig& config) {
  using detail::json_of;
  using detail::null_if_empty;
  io::Json keys = detail::other_peft_keys();
  if (config.other.is_object()) keys.update(config.other);
  keys["peft_type"] = "LORA";
  keys["inference_mode"] = true;
  keys["r"] = config.r;
  keys["lora_alpha"] = json_of(config.lora_alpha);
  keys["use_rslora"] = config.use_rslora;
  keys["rank_pattern"] = json_of(config.rank_pattern);
  keys["alpha_pattern"] = json_of(config.alpha_pattern);
  keys["lora_dropout"] = config.lora_dropout;
  keys["bias"] = config.bias;
  keys["init_lora_weights"] = config.init_lora_weights;
  keys["target_modules"] = json_of(config.target_modules);
  keys["exclude_modules"] = json_of(config.exclude_modules);
  keys["layers_to_transform"] = null_if_empty(config.layers_to_transform);
  // PEFT takes layers_pattern only beside a list, which may be empty.
  if (!config.layers_pattern.empty()) keys["layers_to_transform"] = config.layers_to_transform;
  keys["layers_pattern"] = null_if_empty(config.layers_pattern);
  keys["modules_to_save"] = null_if_empty(config.modules_to_save);
  keys["task_type"] = null_if_empty(config.task_type);
  keys["base_model_name_or_path"] = null_if_empty(config.base_model_name_or_path);
  keys["peft_version"] = null_if_empty(config.peft_version);
  try {
    return keys.dump(2, ' ', /*ensure_ascii=*/true);
  } catch (const io::Json::exception&) {
    throw FileError("adapter_config.json: a string of the settings is not UTF-8");
  }
}

}  // namespace lora::peft
