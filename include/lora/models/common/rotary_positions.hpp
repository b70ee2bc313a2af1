#pragma once

#include <optional>
#include <span>

#include "lora/core/gradients.hpp"
#include "lora/core/tape.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/models/common/model_parameters.hpp"
#include "lora/nn/rotary.hpp"

namespace lora::models {

/// The positions of a decoder whose blocks turn queries and keys; see CausalDecoder. They add
/// nothing to the embeddings.
template <class T>
class RotaryPositions {
 public:
  /// Takes the columns D of a head.
  RotaryPositions(Index head_features, const RotaryConfig& config)
      : features_(head_features), rotary_(head_features, config) {}

  /// Returns the columns of the angles: D.
  [[nodiscard]] Index angle_features() const { return features_; }

  /// Computes the angles (N, D) of N tokens of one text: its own length counts where scaling is
  /// dynamic.
  void angles(std::span<const int> positions, MatrixRef<T> angles) const {
    if (!positions.empty()) rotary_.angles(positions, std::nullopt, angles);
  }

  [[nodiscard]] bool trains() const { return false; }
  void forward(std::span<const int>, Tape<T>*, bool, MatrixRef<T>,
               const AdapterRoutes* = nullptr) const {}
  void backward(std::span<const int>, Tape<T>&, GradientTarget<T>, MatrixRef<T>,
                const AdapterRoutes* = nullptr) const {}
  void list(ModelParameters<T>&) {}
  template <class Action>
  void for_each_adapted(const Action&) {}
  template <class Action>
  void for_each_trainable_tokens(const Action&) {}

 private:
  Index features_;
  Rotary<T> rotary_;
};

}  // namespace lora::models
