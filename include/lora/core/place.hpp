#pragma once

#include <string>
#include <string_view>

namespace lora {

/// Where an error came from, as messages begin with it: the call, and before it the layer's name if
/// it has one: "encoder.layer.7.value (LoRALinear::forward)".
struct Place {
  std::string_view call;        ///< "LoRALinear::forward"
  std::string_view layer = {};  ///< the layer's name, or empty

  /// Returns what messages begin with.
  [[nodiscard]] std::string text() const {
    if (layer.empty()) return std::string(call);
    return std::string(layer).append(" (").append(call).append(")");
  }
};

}  // namespace lora
