#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "lora/core/parameter.hpp"
#include "lora/init/gaussian.hpp"
#include "lora/init/kaiming_uniform.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// Holds the trainable part of a LoRA layer: A (rank, in), B (out, rank), their settings, and the
/// name of the module that they adapt. This is what is saved, loaded and exchanged; it knows
/// nothing of the frozen weight beside it.
template <class T>
class LoRAAdapter {
 public:
  /// Makes the factors for a weight (out, in): A random as config.init says, B zero. Throws
  /// ConfigError for settings out of range.
  LoRAAdapter(Index out_features, Index in_features, const LoRAConfig& config, std::uint64_t seed)
      : config_((validate(config, "LoRAAdapter"), config)),
        a_("", Matrix<T>::Zero(config.rank, in_features)),
        b_("", Matrix<T>::Zero(out_features, config.rank)) {
    const Random random(seed, RandomStream::initialisation);
    if (config.init == LoRAInit::gaussian)
      gaussian<T>(a_.value, random, 1 / static_cast<double>(config.rank));
    else
      kaiming_uniform<T>(a_.value, random);
    set_name("");
  }

  [[nodiscard]] Index rank() const { return a_.value.rows(); }
  [[nodiscard]] Index in_features() const { return a_.value.cols(); }
  [[nodiscard]] Index out_features() const { return b_.value.rows(); }
  [[nodiscard]] const LoRAConfig& config() const { return config_; }

  /// Returns the path of the adapted module, as in PEFT: `encoder.layer.0.attention.self.query`.
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the module; A and B are then `name.lora_A.weight` and `name.lora_B.weight`.
  void set_name(std::string name) {
    std::string a_name = name.empty() ? "lora_A.weight" : name + ".lora_A.weight";
    std::string b_name = name.empty() ? "lora_B.weight" : name + ".lora_B.weight";
    name_ = std::move(name);
    a_.name = std::move(a_name);
    b_.name = std::move(b_name);
  }

  [[nodiscard]] Parameter<T>& a() { return a_; }
  [[nodiscard]] const Parameter<T>& a() const { return a_; }
  [[nodiscard]] Parameter<T>& b() { return b_; }
  [[nodiscard]] const Parameter<T>& b() const { return b_; }

  /// Replaces settings and factors, with gradients of zeros: what loading a file does. The rank
  /// may change. Throws ConfigError or ShapeError, and then nothing has changed.
  void replace(const LoRAConfig& config, Matrix<T> a, Matrix<T> b) {
    validate(config, "LoRAAdapter::replace");
    require_shape(a, config.rank, in_features(), "LoRAAdapter::replace", "a");
    require_shape(b, out_features(), config.rank, "LoRAAdapter::replace", "b");
    Parameter<T> new_a(a_.name, std::move(a));
    Parameter<T> new_b(b_.name, std::move(b));
    config_ = config;
    a_ = std::move(new_a);
    b_ = std::move(new_b);
  }

 private:
  LoRAConfig config_;
  std::string name_;
  Parameter<T> a_;
  Parameter<T> b_;
};

}  // namespace lora
