#pragma once

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/place.hpp"
#include "lora/frozen/requantise.hpp"
#include "lora/layers/lora_linear.hpp"

namespace lora {
namespace detail {

// s B A of the active adapter, which must not be merged.
template <class T, class Frozen>
[[nodiscard]] Matrix<T> update_of(const LoRALinear<T, Frozen>& layer, const char* verb) {
  const Place where{verb, layer.name()};
  if (layer.merged()) throw StateError(message(where, ": the adapter is merged already"));
  if (!layer.has_adapter()) throw StateError(message(where, ": the layer has no active adapter"));
  if (layer.config().lora_bias)
    throw StateError(message(where, ": the adapter has lora_bias, for which codes have no place"));
  Matrix<T> update = layer.delta_weight(where);
  if (!all_finite<T>(update))
    throw StateError(message(where, ": the adapter's update has a number that is not finite"));
  return update;
}

}  // namespace detail

/// Returns the layer's W^ + s B A rounded by `make`, and what that kept of s B A: see requantised.
/// Four bits keep little of it unless the update is large: look at the report. Throws StateError,
/// naming the layer, while merged and without an adapter that is switched on; what `make` throws.
template <class T, class Frozen, class Make>
[[nodiscard]] auto requantised(const LoRALinear<T, Frozen>& layer, const Make& make) {
  return requantised<T>(layer.weight(), detail::update_of(layer, "requantised"), make);
}

/// Returns W + s B A rounded by `make`, and what that kept of s B A, W (out, in) being the
/// full-precision matrix that the layer's weight was rounded from: see requantised_from. So an
/// adapter gets into a weight in codes with no more error than rounding W has. (A layer that began
/// with LoftQ or QPiSSA has a weight that is not W rounded: for it, call the other requantised_from
/// with make(W) as the base and what training changed of s B A as the delta.) Throws StateError as
/// requantised does, ShapeError for an `original` of another shape, and what `make` throws.
template <class T, class Frozen, class Make>
[[nodiscard]] auto requantised_from(std::type_identity_t<ConstMatrixRef<T>> original,
                                    const LoRALinear<T, Frozen>& layer, const Make& make) {
  return requantised_from<T>(original, layer.weight(), detail::update_of(layer, "requantised_from"),
                             make);
}

}  // namespace lora
