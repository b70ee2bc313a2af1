#pragma once

#include "lora/models/common/gguf_adapter.hpp"
#include "lora/models/common/save_gguf_adapter.hpp"
#include "lora/models/gpt2/gpt2_gguf.hpp"
#include "lora/models/gpt2/gpt2_outline.hpp"

namespace lora::models {

/// Returns how llama.cpp's adapters for GPT-2 name what they adapt: for GgufAdapter and
/// save_gguf_adapter. llama.cpp multiplies by A (R, in) and B (out, R) there as everywhere.
///
/// Its convert_lora_to_gguf.py (at 0b03ada) does not write that: it transposes the factors with
/// Conv1D's weight, although PEFT's are (R, in) and (out, R) for Conv1D too. What it writes of
/// c_attn and the feed-forward half llama.cpp refuses, as this library does; of attn.c_proj alone,
/// which is square, both take the transposed product for the adapter.
///
/// Throws ConfigError for a model that llama.cpp computes otherwise: its GPT-2 has gelu_tanh, and
/// scores divided by sqrt(head_features) in every layer.
[[nodiscard]] inline GgufAdapterFormat gguf_adapter_format(const GPT2Config& config) {
  const auto refuse = [](const char* what) {
    throw ConfigError(message("gguf_adapter_format: ", what, " in llama.cpp's GPT-2"));
  };
  if (config.activation_function != Activation::gelu_tanh)
    refuse("the model's activation_function is not gelu_new, as it is");
  if (!config.scale_attn_weights || config.scale_attn_by_inverse_layer_idx)
    refuse("the model's attention is not scaled by 1 / sqrt(n_embd / n_head), as it is");
  return adapter_format_of("gpt2", gpt2_outline(config), gpt2_gguf_places(config));
}

}  // namespace lora::models
