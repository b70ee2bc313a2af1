#pragma once

#include <type_traits>

#include "lora/core/matrix.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/init/corda.hpp"
#include "lora/init/lora_ga.hpp"
#include "lora/layers/adapted_layer_ref.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/layers/lora_linear.hpp"
#include "lora/layers/weight_start.hpp"

namespace lora {

/// Starts the active adapter with the directions of W that inputs of this covariance (in, in) need
/// most or least: see corda and CordaCovariance. Returns and throws as start_by.
///
///     CordaCovariance<float> inputs(layer.in_features());
///     for (...) inputs.add(x);  // x (N, in) of each sample, as the layer gets it
///     const auto initial = start_corda(layer, inputs.mean(), CordaMethod::kpm);
template <class T>
StartFactors<T> start_corda(const AdaptedLayerRef<T>& layer,
                            const Matrix<std::type_identity_t<T>>& covariance,
                            CordaMethod method = CordaMethod::ipm,
                            const SvdOptions& options = {.exact = true}) {
  return start_by(layer, LoRAInit::corda, "start_corda",
                  [&](ConstMatrixRef<T> weight, Index rank, double scaling) {
                    return corda<T>(weight, rank, scaling, covariance, method, options);
                  });
}

/// Starts the active adapter with directions of W's gradient (out, in): see lora_ga and
/// WeightGradient. Returns and throws as start_by.
///
///     WeightGradient<float> mean(layer.out_features(), layer.in_features());
///     for (...) mean.add(x, dy);  // of the layer's backward, for some batches
///     const auto initial = start_lora_ga(layer, mean.mean());
template <class T>
StartFactors<T> start_lora_ga(const AdaptedLayerRef<T>& layer,
                              const Matrix<std::type_identity_t<T>>& gradient,
                              const LoRAGAOptions& options = {}) {
  return start_by(layer, LoRAInit::lora_ga, "start_lora_ga",
                  [&](ConstMatrixRef<T> weight, Index rank, double scaling) {
                    return lora_ga<T>(weight, rank, scaling, gradient, options);
                  });
}

/// Do the same for one layer.
template <class T, class Frozen>
requires MergeableWeight<Frozen, T> StartFactors<T> start_corda(
    LoRALinear<T, Frozen>& layer, const Matrix<T>& covariance,
    CordaMethod method = CordaMethod::ipm, const SvdOptions& options = {.exact = true}) {
  return start_corda(AdaptedLayerRef<T>(layer), covariance, method, options);
}

/// Does the same for one layer.
template <class T, class Frozen>
requires MergeableWeight<Frozen, T> StartFactors<T> start_lora_ga(
    LoRALinear<T, Frozen>& layer, const Matrix<T>& gradient, const LoRAGAOptions& options = {}) {
  return start_lora_ga(AdaptedLayerRef<T>(layer), gradient, options);
}

}  // namespace lora
