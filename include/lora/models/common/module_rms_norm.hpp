#pragma once

#include <string>

#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/module_pre_norm.hpp"
#include "lora/nn/rms_norm.hpp"

namespace lora::models {

/// An RMS norm of a model, frozen or trained as its plan says; see ModulePreNorm.
template <class T>
class ModuleRMSNorm : public ModulePreNorm<RMSNorm<T>> {
 public:
  /// Loads the norm of `features` columns called `name`. Throws FileError.
  ModuleRMSNorm(ModelBuilder<T>& builder, const std::string& name, Index features, double epsilon)
      : ModulePreNorm<RMSNorm<T>>(RMSNorm<T>(
            builder.weights.vector(name + ".weight", features),
            {.epsilon = epsilon, .trainable = builder.plan[name].role == ModuleRole::trained})) {
    this->norm().set_name(name);
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    list.total += this->norm().features();
    if (this->trains()) list.add(this->norm().weight());
  }
};

}  // namespace lora::models
