#pragma once

#include <cstdint>
#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/init/loftq.hpp"
#include "lora/init/qpissa.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/layers/lora_linear.hpp"

namespace lora {

/// Makes a layer that computes with the weight and the factors of `start`. `config` is that of the
/// adapter, of whose rank and scaling `start` was made; `seed` that of its dropout masks; `bias` is
/// empty or (out). Throws ConfigError for settings out of range, ShapeError for what does not fit.
template <class T, class Storage>
[[nodiscard]] LoRALinear<T, Storage> layer_of(QuantisedStart<T, Storage> start,
                                              const LoRAConfig& config, std::uint64_t seed,
                                              const Vector<T>& bias = {}) {
  LoRALinear<T, Storage> layer(std::move(start.weight), config, seed, bias);
  layer.replace_adapter(config, std::move(start.a), std::move(start.b));
  return layer;
}

/// Makes a layer over W (out, in) in codes whose adapter begins with what makes up for them: see
/// loftq, which it calls with `config`'s rank and scaling, whatever its alpha.
///
///     auto layer = loftq_layer<float>(w, {.rank = 16, .alpha = 32}, /*seed=*/1,
///                                     [](auto matrix) { return NF4Weight<float>(matrix); });
///
/// The adapter belongs to this layer's weight, which is not W rounded: a file of it alone, loaded
/// over the model that W came from, does not give this layer again. Throws what loftq throws, and
/// ConfigError for settings out of range.
template <class T, class Make>
[[nodiscard]] auto loftq_layer(ConstMatrixRef<T> weight, const LoRAConfig& config,
                               std::uint64_t seed, const Make& make,
                               const LoftQOptions& options = {}, const Vector<T>& bias = {}) {
  validate(config, "loftq_layer");
  return layer_of<T>(loftq<T>(weight, config.rank, config.scaling(), make, options), config, seed,
                     bias);
}

/// Does the same with qpissa: the adapter begins with W's main directions.
template <class T, class Make>
[[nodiscard]] auto qpissa_layer(ConstMatrixRef<T> weight, const LoRAConfig& config,
                                std::uint64_t seed, const Make& make,
                                const SvdOptions& options = {}, const Vector<T>& bias = {}) {
  validate(config, "qpissa_layer");
  return layer_of<T>(qpissa<T>(weight, config.rank, config.scaling(), make, options), config, seed,
                     bias);
}

}  // namespace lora
