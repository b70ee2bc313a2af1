#pragma once

#include "lora/models/common/gguf_adapter.hpp"
#include "lora/models/common/save_gguf_adapter.hpp"
#include "lora/models/llama/llama_gguf.hpp"
#include "lora/models/llama/llama_outline.hpp"

namespace lora::models {

/// Returns how llama.cpp's adapters for a model of Llama's family name what they adapt: for
/// GgufAdapter and save_gguf_adapter.
[[nodiscard]] inline GgufAdapterFormat gguf_adapter_format(const LlamaConfig& config) {
  return adapter_format_of(gguf_architecture(config), llama_outline(config),
                           llama_gguf_places(config));
}

}  // namespace lora::models
