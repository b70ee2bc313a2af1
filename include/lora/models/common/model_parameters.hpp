#pragma once

#include <vector>

#include "lora/core/parameter.hpp"
#include "lora/layers/adapted_layer_ref.hpp"

namespace lora::models {

/// Gathers a model's parameters: each module adds its own.
template <class T>
struct ModelParameters {
  std::vector<Parameter<T>*> trained = {};     ///< all that trains
  std::vector<Parameter<T>*> stored = {};      ///< of those, what is stored whole beside adapters
  std::vector<AdaptedLayerRef<T>> slots = {};  ///< layers with adapters
  Index total = 0;                             ///< scalars, frozen ones included

  /// Adds a parameter that trains and is stored whole.
  void add(Parameter<T>& parameter) {
    trained.push_back(&parameter);
    stored.push_back(&parameter);
  }
};

}  // namespace lora::models
