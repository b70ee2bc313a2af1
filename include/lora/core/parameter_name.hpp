#pragma once

#include <string>
#include <string_view>

namespace lora {

/// Returns the name of a layer's parameter, as PyTorch writes it: "layer.weight", or "weight" in a
/// layer without a name.
[[nodiscard]] inline std::string parameter_name(std::string_view layer,
                                                std::string_view parameter) {
  std::string name(layer);
  if (!name.empty()) name += '.';
  return name += parameter;
}

}  // namespace lora
