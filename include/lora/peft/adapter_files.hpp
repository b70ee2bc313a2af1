#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "lora/core/parameter.hpp"
#include "lora/io/tensor_view.hpp"

namespace lora::peft {

/// The files of an adapter's directory, as PEFT calls them.
inline constexpr const char* adapter_config_file = "adapter_config.json";
inline constexpr const char* adapter_weights_file = "adapter_model.safetensors";

/// Returns the name under which a file keeps the tensor `name` of the base model's.
[[nodiscard]] inline std::string adapter_key(std::string_view name) {
  return "base_model.model." + std::string(name);
}

}  // namespace lora::peft
