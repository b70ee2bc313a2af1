#pragma once

#include <ostream>
#include <string_view>

namespace lora {

/// Where an error came from, as messages begin with it: the call, and before it the layer's name if
/// it has one: "encoder.layer.7.value (LoRALinear::forward)".
struct Place {
  std::string_view call;        ///< "LoRALinear::forward"
  std::string_view layer = {};  ///< the layer's name, or empty

  friend std::ostream& operator<<(std::ostream& out, const Place& place) {
    if (place.layer.empty()) return out << place.call;
    return out << place.layer << " (" << place.call << ")";
  }
};

}  // namespace lora
