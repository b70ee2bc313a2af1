#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/peft/peft_config.hpp"

namespace lora::peft {
namespace detail {

/// Tells whether the name, which ends in ".weight", is that of another layer's than a linear one in
/// models of transformers: of a Conv1D, whose weight is (in, out), or of an embedding.
[[nodiscard]] inline bool names_other_weight(std::string_view parameter) {
  parameter.remove_suffix(std::string_view(".weight").size());
  const std::string_view module = parameter.substr(parameter.rfind('.') + 1);
  for (const std::string_view other :
       {"c_attn", "c_proj", "c_fc", "q_attn", "embed_tokens", "wte", "wpe", "word_embeddings",
        "position_embeddings", "token_type_embeddings"})
    if (module == other) return true;
  return false;
}

}  // namespace detail

/// Throws ConfigError, naming the entry, for target_parameters that cannot be weights (out, in) of
/// linear layers, whose adapters are LoRA's own: a stack of experts, biases, embeddings, and a
/// Conv1D's, whose factors PEFT turns around. Throws, too, for settings that PEFT 0.21 refuses
/// beside them: dropout (which such an adapter has no x for), use_dora, lora_bias,
/// fan_in_fan_out and alora_invocation_tokens.
inline void check_target_parameters(const PeftConfig& config) {
  if (config.target_parameters.empty()) return;
  for (const std::string& entry : config.target_parameters)
    if (!entry.ends_with(".weight") || detail::names_other_weight(entry))
      throw ConfigError(message("target_parameters has ", in_quotes(entry),
                                ", expected weights of linear layers as \"q_proj.weight\": others "
                                "are not built here"));
  const auto refuse = [](const char* key, bool is_set) {
    if (is_set)
      throw ConfigError(
          message("target_parameters and ", key, " are set, which exclude each other"));
  };
  const auto order = config.other.find("fan_in_fan_out");
  refuse("lora_dropout", config.lora_dropout != 0);
  refuse("use_dora", config.use_dora);
  refuse("lora_bias", config.lora_bias);
  refuse("fan_in_fan_out", order != config.other.end() && order->second == "true");
  refuse("alora_invocation_tokens", !config.alora_invocation_tokens.empty());
}

}  // namespace lora::peft
