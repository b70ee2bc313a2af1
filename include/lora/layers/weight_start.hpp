#pragma once

#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/core/place.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/init/olora.hpp"
#include "lora/init/pissa.hpp"
#include "lora/init/split_start.hpp"
#include "lora/layers/adapted_layer_ref.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/layers/lora_linear.hpp"

namespace lora {

/// Starts the active adapter of `layer` with the SplitStart that `make(weight, rank, scaling)`
/// returns, and leaves W - s B A in the layer's weight; the functions below do it so. Returns the
/// factors that training begins with, which PlainAdapter asks for afterwards. Throws what
/// LoRAOverWeight::start_from throws, before anything is computed, and what `make` throws, naming
/// the layer; then nothing has changed. The layer must not compute meanwhile.
template <class T, class Make>
StartFactors<T> start_by(const AdaptedLayerRef<T>& layer, LoRAInit init, const char* verb,
                         const Make& make) {
  const Matrix<T> weight = layer.whole_weight(Place{verb, layer.name()});
  const LoRAConfig& config = layer.config();
  SplitStart<T> start = [&] {
    try {
      return SplitStart<T>(make(ConstMatrixRef<T>(weight), config.rank, config.scaling()));
    } catch (const ConfigError& error) {
      if (layer.name().empty()) throw;
      throw ConfigError(message(layer.name(), ": ", error.what()));
    }
  }();
  StartFactors<T> factors = start;
  layer.start_from(std::move(start), init);
  return factors;
}

/// Starts the active adapter with W's main directions: see pissa. The default is the whole
/// decomposition, PEFT's "pissa"; `{.power_iterations = 4}` is the fast search, "pissa_niter_4".
/// Returns and throws as start_by.
///
///     LoRALinear<float> layer(DenseWeight<float>(w), {.rank = 16}, /*seed=*/1);
///     const auto initial = start_pissa(layer);  // the layer computes what it did
///     ...                                       // training
///     peft::save_adapter(directory, PlainAdapter<float>(layer, initial));  // for W itself
template <class T>
StartFactors<T> start_pissa(const AdaptedLayerRef<T>& layer,
                            const SvdOptions& options = {.exact = true}) {
  return start_by(layer, options.exact ? LoRAInit::pissa : LoRAInit::fast_pissa, "start_pissa",
                  [&](ConstMatrixRef<T> weight, Index rank, double scaling) {
                    return pissa<T>(weight, rank, scaling, options);
                  });
}

/// Starts the active adapter with W's first directions by QR: see olora. Returns and throws as
/// start_by. A model's layers are started one by one:
///
///     for (const auto& layer : model.adapted_layers()) initial.push_back(start_olora(layer));
///
/// Nor can a model be built of a PeftConfig that names such a start: of one that was read from
/// files, set init_lora_weights to true, build the model, start its layers, then load_adapter.
template <class T>
StartFactors<T> start_olora(const AdaptedLayerRef<T>& layer) {
  return start_by(layer, LoRAInit::olora, "start_olora",
                  [&](ConstMatrixRef<T> weight, Index rank, double scaling) {
                    return olora<T>(weight, rank, scaling);
                  });
}

/// Does the same for one layer.
template <class T, class Frozen>
requires MergeableWeight<Frozen, T> StartFactors<T> start_pissa(LoRALinear<T, Frozen>& layer,
                                                                const SvdOptions& options = {
                                                                    .exact = true}) {
  return start_pissa(AdaptedLayerRef<T>(layer), options);
}

/// Does the same for one layer.
template <class T, class Frozen>
requires MergeableWeight<Frozen, T> StartFactors<T> start_olora(LoRALinear<T, Frozen>& layer) {
  return start_olora(AdaptedLayerRef<T>(layer));
}

// Deleted, not absent, so that the compiler's message shows the reason: what is left of W does not
// fit the numbers of such a storage. qpissa_layer rounds W - s B A from the full-precision W.
template <class T, class Frozen>
requires WouldLoseTheUpdate<Frozen, T>
void start_pissa(LoRALinear<T, Frozen>&, const SvdOptions& = {}) = delete;
template <class T, class Frozen>
requires WouldLoseTheUpdate<Frozen, T>
void start_olora(LoRALinear<T, Frozen>&) = delete;

}  // namespace lora
