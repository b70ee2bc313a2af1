#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/place.hpp"
#include "lora/kernels/product.hpp"
#include "lora/layers/adapted_layer_ref.hpp"
#include "lora/optim/adamw.hpp"
#include "lora/optim/damped_inverse.hpp"
#include "lora/optim/optimizer_state.hpp"

namespace lora {

/// The optimizer of LoRA-FA: while A stays frozen, B steps by AdamW with the gradient that changes
/// W as nearly as it can to W's own gradient (Zhang et al., "LoRA-FA", 2023, arXiv 2308.03303; PEFT
/// 0.21's create_lorafa_optimizer):
///
///     dB <- dB (A A^T + 1e-8 I)^-1 / s^2
///
/// s is alpha / rank, or alpha / sqrt(rank). Other parameters, such as a head's, are AdamW's.
/// Unlike AdamW here, PEFT's optimizer adds epsilon, 1e-6, to the root of v before v's bias is
/// corrected, and decays after the step.
///
///     LoRALinear<float> layer(weight, {.rank = 8, .freeze_a = true}, /*seed=*/1);
///     const AdamWConfig config{.learning_rate = 1e-3, .epsilon = 1e-6, .weight_decay = 0};
///     LoRAFA<float> optimizer(config, {layer});
template <class T>
class LoRAFA {
 public:
  /// Begins for `layers`, which must outlive this and stay where they are. Throws ConfigError for
  /// settings that AdamW refuses, if there are no layers, and for a layer whose A trains or whose
  /// scaling is 0.
  LoRAFA(AdamWConfig config, std::vector<AdaptedLayerRef<T>> layers)
      : inner_(std::move(config)), layers_(std::move(layers)) {
    if (layers_.empty()) throw ConfigError("LoRAFA: there are no layers");
    for (const AdaptedLayerRef<T>& layer : layers_) static_cast<void>(factors_of(layer));
  }

  /// Updates every parameter, and leaves B's gradients projected. Throws ConfigError for a scaling
  /// of 0 and what AdamW::step throws.
  void step(const ParameterList<T>& parameters) {
    require_distinct(parameters, "LoRAFA::step");
    std::vector<Factors> listed;
    for (const AdaptedLayerRef<T>& layer : layers_) {
      const Factors factors = factors_of(layer);
      for (const Parameter<T>* parameter : parameters)
        if (parameter == factors.b) listed.push_back(factors);
    }
    for (const Factors& factors : listed) {
      const Matrix<T> inverse = damped_inverse<T>(factors.a->value, 1e-8);
      const Matrix<T> gradient = factors.b->grad;
      factors.b->grad.setZero();
      add_product(MatrixRef<T>(factors.b->grad),
                  static_cast<T>(1 / (factors.scaling * factors.scaling)), gradient, inverse);
    }
    inner_.step(parameters);
  }

  [[nodiscard]] const AdamWConfig& config() const { return inner_.config(); }
  [[nodiscard]] double learning_rate() const { return inner_.learning_rate(); }

  /// Sets the learning rate of the steps to come. Throws ConfigError unless finite and >= 0.
  void set_learning_rate(double learning_rate) { inner_.set_learning_rate(learning_rate); }

  /// Returns a copy of what it remembers, which is an AdamW's state.
  [[nodiscard]] OptimizerState<T> state() const { return inner_.state(); }

  /// Goes on from `state`. Throws StateError if it is another optimizer's or incomplete.
  void set_state(const OptimizerState<T>& state) { inner_.set_state(state); }

 private:
  struct Factors {
    const Parameter<T>* a;
    Parameter<T>* b;
    double scaling;
  };

  static Factors factors_of(const AdaptedLayerRef<T>& layer) {
    const Place where{"LoRAFA", layer.name()};
    const LoRAConfig& config = layer.config();
    Factors factors{nullptr, nullptr, config.scaling()};
    if (!config.freeze_a)
      throw ConfigError(message(where, ": A trains: set freeze_a in the adapter's settings"));
    if (factors.scaling == 0) throw ConfigError(message(where, ": the scaling is 0"));
    for (const AdapterTensor<T>& tensor : layer.tensors(config)) {
      if (tensor.suffix == ".lora_A.weight") factors.a = tensor.parameter;
      if (tensor.suffix != ".lora_B.weight") continue;
      for (Parameter<T>* parameter : layer.parameters())
        if (parameter == tensor.parameter) factors.b = parameter;
    }
    if (factors.a == nullptr || factors.b == nullptr)
      throw ConfigError(message(where, ": the layer has no lora_A.weight and lora_B.weight"));
    return factors;
  }

  AdamW<T> inner_;
  std::vector<AdaptedLayerRef<T>> layers_;
};

}  // namespace lora
