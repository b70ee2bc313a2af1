#pragma once

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/peft/peft_config.hpp"

namespace lora::peft {

/// The modules that PEFT adapts in models of one type when target_modules is left out.
struct DefaultTargets {
  std::string_view model_type;              ///< of the model's config.json
  std::array<std::string_view, 6> names{};  ///< a list, as far as it is not empty
  std::string_view pattern = {};            ///< or a pattern, for one type
};

/// Lists the types that have defaults in PEFT 0.21.2, sorted: its
/// TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.
inline constexpr DefaultTargets peft_default_targets[] = {
    {"RefinedWeb", {"query_key_value"}},
    {"RefinedWebModel", {"query_key_value"}},
    {"bart", {"q_proj", "v_proj"}},
    {"bert", {"query", "value"}},
    {"blip-2", {"q", "v", "q_proj", "v_proj"}},
    {"bloom", {"query_key_value"}},
    {"btlm", {"c_proj", "c_attn"}},
    {"chatglm", {"query_key_value"}},
    {"codegen", {"qkv_proj"}},
    {"deberta", {"in_proj"}},
    {"deberta-v2", {"query_proj", "value_proj"}},
    {"electra", {"query", "value"}},
    {"falcon", {"query_key_value"}},
    {"gemma", {"q_proj", "v_proj"}},
    {"gemma2", {"q_proj", "v_proj"}},
    {"gemma3_text", {"q_proj", "v_proj"}},
    {"gemma4", {}, R"(.*language_model\..*\.(q_proj|v_proj))"},
    {"gpt2", {"c_attn"}},
    {"gpt_bigcode", {"c_attn"}},
    {"gpt_neo", {"q_proj", "v_proj"}},
    {"gpt_neox", {"query_key_value"}},
    {"gptj", {"q_proj", "v_proj"}},
    {"layoutlm", {"query", "value"}},
    {"llama", {"q_proj", "v_proj"}},
    {"llama4", {"q_proj", "v_proj"}},
    {"mistral", {"q_proj", "v_proj"}},
    {"mixtral", {"q_proj", "v_proj"}},
    {"mpt", {"Wqkv"}},
    {"mt5", {"q", "v"}},
    {"nemotron_h", {"q_proj", "k_proj", "v_proj", "o_proj"}},
    {"opt", {"q_proj", "v_proj"}},
    {"phi", {"q_proj", "v_proj", "fc1", "fc2"}},
    {"qwen2", {"q_proj", "v_proj"}},
    {"qwen3", {"q_proj", "v_proj"}},
    {"roberta", {"query", "value"}},
    {"rwkv", {"key", "value", "receptance", "output"}},
    {"rwkv7", {"r_proj", "k_proj", "v_proj", "o_proj", "key", "value"}},
    {"stablelm", {"q_proj", "v_proj"}},
    {"t5", {"q", "v"}},
    {"xlm-roberta", {"query", "value"}},
};

/// Returns PEFT's default targets of a model type; nothing (null) for a type that has none.
[[nodiscard]] inline ModuleNames default_targets(std::string_view model_type) {
  const auto found =
      std::find_if(std::begin(peft_default_targets), std::end(peft_default_targets),
                   [&](const DefaultTargets& targets) { return targets.model_type == model_type; });
  if (found == std::end(peft_default_targets)) return {};
  if (!found->pattern.empty()) return std::string(found->pattern);
  std::vector<std::string> names;
  for (const std::string_view name : found->names)
    if (!name.empty()) names.emplace_back(name);
  return names;
}

/// Puts the default targets of a model type where `config` has none, as PEFT does before it looks
/// at a model. Throws ConfigError if the type has no default and there are no target_parameters.
inline void set_default_targets(PeftConfig& config, std::string_view model_type) {
  if (!std::holds_alternative<std::monostate>(config.target_modules)) return;
  ModuleNames targets = default_targets(model_type);
  if (std::holds_alternative<std::monostate>(targets) && config.target_parameters.empty())
    throw ConfigError(message("target_modules is null, and PEFT has no default for models of type ",
                              in_quotes(model_type)));
  config.target_modules = std::move(targets);
}

}  // namespace lora::peft
