#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/place.hpp"
#include "lora/init/start_factors.hpp"
#include "lora/layers/adapted_layer_ref.hpp"
#include "lora/layers/adapter_tensor.hpp"
#include "lora/layers/lora_adapter.hpp"
#include "lora/layers/lora_config.hpp"

namespace lora {

/// Returns the settings of an adapter of twice the rank with the same scaling: alpha becomes 2
/// alpha or, with use_rslora, sqrt(2) alpha.
[[nodiscard]] inline LoRAConfig at_twice_the_rank(LoRAConfig config) {
  config.alpha = config.alpha_or_default() * (config.use_rslora ? std::sqrt(2.0) : 2.0);
  config.rank *= 2;
  config.init = LoRAInit::kaiming;
  return config;
}

/// An adapter for the unchanged weight W, made of one that trained over W - s B0 A0 (PEFT's
/// path_initial_model_for_weight_conversion): the factors, of twice the rank,
///
///     A' = [A; A0],    B' = [B, -B0],    so that W + s B' A' = (W - s B0 A0) + s B A
///
/// It can be saved as a layer can, and everything else that the layer has to save, such as its
/// bias, is saved with it (PEFT loses it). The layer must outlive this and stay where it is.
template <class T>
class PlainAdapter {
 public:
  using Scalar = T;

  /// Copies the factors of `layer`; `initial` are those that its start returned. Throws
  /// ConfigError, naming the layer, if its adapter's start did not change the weight; ShapeError
  /// for other shapes.
  PlainAdapter(const AdaptedLayerView<T>& layer, const StartFactors<T>& initial)
      : layer_(layer), adapter_(doubled(layer, initial)) {
    adapter_.set_name(layer.name());
  }

  [[nodiscard]] const std::string& name() const { return adapter_.name(); }
  [[nodiscard]] const LoRAConfig& config() const { return adapter_.config(); }

  /// Returns A' (2 rank, in) and B' (out, 2 rank) with their settings.
  [[nodiscard]] const LoRAAdapter<T>& adapter() const { return adapter_; }

  /// Lists what is saved: A' and B', and what else the layer has.
  [[nodiscard]] std::vector<AdapterTensor<T>> adapter_tensors(const LoRAConfig& config) const {
    LoRAConfig own = layer_.config();
    own.train_bias = config.train_bias;
    std::vector<AdapterTensor<T>> tensors = layer_.tensors(own);
    for (AdapterTensor<T>& tensor : tensors)
      for (const Parameter<T>* factor : {&adapter_.a(), &adapter_.b()})
        if (factor->name == name() + tensor.suffix)
          tensor = {tensor.suffix, factor->shape(), factor};
    return tensors;
  }

  /// Throws ConfigError always: it is made to be saved, and nothing is loaded into it.
  void check_replace(const LoRAConfig&) const {
    throw ConfigError(message(Place{"PlainAdapter", name()}, ": load into the layer itself"));
  }

  [[nodiscard]] bool trains_bias() const { return layer_.trains_bias(); }

 private:
  static LoRAAdapter<T> doubled(const AdaptedLayerView<T>& layer, const StartFactors<T>& initial) {
    const Place where{"PlainAdapter", layer.name()};
    const LoRAConfig& config = layer.config();
    if (!changes_base(config.init))
      throw ConfigError(message(where, ": the adapter's start is ", name_of(config.init),
                                ", under which the weight is unchanged: save the layer itself"));
    const Parameter<T>*a = nullptr, *b = nullptr;
    for (const AdapterTensor<T>& tensor : layer.tensors(config)) {
      if (tensor.suffix == ".lora_A.weight") a = tensor.parameter;
      if (tensor.suffix == ".lora_B.weight") b = tensor.parameter;
    }
    if (a == nullptr || b == nullptr)
      throw ConfigError(message(where, ": the layer has no lora_A.weight and lora_B.weight"));
    const Index rank = config.rank, in = a->value.cols(), out = b->value.rows();
    require_shape(initial.a, rank, in, where, "initial.a", "rank", "in_features");
    require_shape(initial.b, out, rank, where, "initial.b", "out_features", "rank");
    Matrix<T> doubled_a(2 * rank, in), doubled_b(out, 2 * rank);
    doubled_a << a->value, initial.a;
    doubled_b << b->value, -initial.b;
    return {at_twice_the_rank(config), std::move(doubled_a), std::move(doubled_b)};
  }

  AdaptedLayerView<T> layer_;
  LoRAAdapter<T> adapter_;
};

}  // namespace lora
