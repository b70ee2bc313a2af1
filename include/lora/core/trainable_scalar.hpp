#pragma once

#include <concepts>

namespace lora {

/// A scalar that gradients and optimizers compute in. Half precision is a matter of the storage of
/// a frozen weight, which a layer of float multiplies; sums of small updates are lost in it.
template <class T>
concept TrainableScalar = std::same_as<T, float> || std::same_as<T, double>;

/// Stops the compiler with a message for people where T is none. A class that trains says
///
///     static_assert(require_trainable_scalar<T>());
template <class T>
[[nodiscard]] constexpr bool require_trainable_scalar() {
  static_assert(TrainableScalar<T>,
                "what trains is float or double: half precision is a matter of the frozen weight's "
                "storage (HalfWeight), not of the layer's scalar");
  return true;
}

}  // namespace lora
