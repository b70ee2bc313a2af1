#pragma once

#include <string>

#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/module_pre_norm.hpp"
#include "lora/nn/layer_norm.hpp"

namespace lora::models {

/// A layer norm of a model that is not computed in place; see ModulePreNorm. It is frozen or trains
/// as its plan says, under PEFT's bias = "all" its bias alone.
template <class T>
class ModuleLayerNorm : public ModulePreNorm<LayerNorm<T>> {
 public:
  /// Loads the norm of `features` columns called `name`. Throws FileError.
  ModuleLayerNorm(ModelBuilder<T>& builder, const std::string& name, Index features, double epsilon)
      : ModuleLayerNorm(builder, name, features, epsilon, builder.plan[name]) {}

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    list.total += 2 * this->norm().features();
    if (whole_) list.add(this->norm().gamma());
    if (this->trains()) list.add(this->norm().beta());
  }

 private:
  ModuleLayerNorm(ModelBuilder<T>& builder, const std::string& name, Index features, double epsilon,
                  const ModulePlan& plan)
      : ModulePreNorm<LayerNorm<T>>(
            LayerNorm<T>(builder.weights.vector(name + ".weight", features),
                         builder.weights.vector(name + ".bias", features),
                         {.epsilon = epsilon,
                          .trainable = plan.role == ModuleRole::trained || plan.train_bias})),
        whole_(plan.role == ModuleRole::trained) {
    this->norm().set_name(name);
  }

  bool whole_;  // gamma trains too
};

}  // namespace lora::models
