#pragma once

#include <string>
#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/core/parameter.hpp"
#include "lora/layers/lora_config.hpp"

namespace lora {

/// Refers to a LoRA layer of any kind of frozen weight, so that layers of different types can stand
/// in one list to be saved or loaded. The layer must outlive the slot and stay where it is.
template <class T>
class AdaptedLayerRef {
 public:
  /// Refers to `layer`, a LoRALinear<T, Frozen> or what has the same members.
  template <class Layer>
  requires std::same_as<typename Layer::Scalar, T> AdaptedLayerRef(Layer& layer)
      : layer_(&layer),
        lora_A_(&layer.lora_A()),
        lora_B_(&layer.lora_B()),
        bias_(layer.has_bias() ? &layer.bias() : nullptr),
        name_([](const void* self) -> const std::string& {
          return static_cast<const Layer*>(self)->name();
        }),
        config_([](const void* self) -> const LoRAConfig& {
          return static_cast<const Layer*>(self)->config();
        }),
        replace_([](void* self, const LoRAConfig& config, Matrix<T> a, Matrix<T> b) {
          static_cast<Layer*>(self)->replace_adapter(config, std::move(a), std::move(b));
        }),
        check_replace_([](const void* self, const LoRAConfig& config) {
          static_cast<const Layer*>(self)->check_replace(config);
        }) {}

  [[nodiscard]] Index in_features() const { return lora_A_->value.cols(); }
  [[nodiscard]] Index out_features() const { return lora_B_->value.rows(); }
  [[nodiscard]] const std::string& name() const { return name_(layer_); }
  [[nodiscard]] const LoRAConfig& config() const { return config_(layer_); }
  [[nodiscard]] Parameter<T>& lora_A() const { return *lora_A_; }
  [[nodiscard]] Parameter<T>& lora_B() const { return *lora_B_; }

  /// Returns the bias of the frozen layer, or null.
  [[nodiscard]] Parameter<T>* bias() const { return bias_; }

  /// Calls the layer's replace_adapter.
  void replace_adapter(const LoRAConfig& config, Matrix<T> a, Matrix<T> b) const {
    replace_(layer_, config, std::move(a), std::move(b));
  }

  /// Throws what replace_adapter would throw for `config` with factors that fit.
  void check_replace(const LoRAConfig& config) const { check_replace_(layer_, config); }

 private:
  void* layer_;
  Parameter<T>* lora_A_;
  Parameter<T>* lora_B_;
  Parameter<T>* bias_;
  const std::string& (*name_)(const void*);
  const LoRAConfig& (*config_)(const void*);
  void (*replace_)(void*, const LoRAConfig&, Matrix<T>, Matrix<T>);
  void (*check_replace_)(const void*, const LoRAConfig&);
};

}  // namespace lora
