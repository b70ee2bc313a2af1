#pragma once

#include <vector>

#include "lora/core/parameter_list.hpp"
#include "lora/layers/adapted_layer_ref.hpp"
#include "lora/layers/trainable_tokens.hpp"

namespace lora::models {

/// A model's parameters, to which each module adds its own.
template <class T>
struct ModelParameters {
  ParameterList<T> trained = {};               ///< all that trains
  ParameterList<T> stored = {};                ///< of those, what is stored whole beside adapters
  std::vector<AdaptedLayerRef<T>> slots = {};  ///< layers with adapters
  Index total = 0;                             ///< scalars, frozen ones included

  /// Adds a parameter that trains and is stored whole.
  void add(Parameter<T>& parameter) {
    trained.add(parameter);
    stored.add(parameter);
  }

  /// Adds rows that train, which are stored beside the adapters.
  void add_tokens(TrainableTokens<T>& tokens) {
    total += tokens.values().size();
    add(tokens.values());
  }
};

}  // namespace lora::models
