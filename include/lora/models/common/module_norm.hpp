#pragma once

#include <string>

#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/model_parameters.hpp"
#include "lora/nn/layer_norm.hpp"

namespace lora::models {

/// A layer norm of a model, computed in place: backward recovers its input from its output, or from
/// a copy where gamma is too small for that.
template <class T>
class ModuleNorm {
 public:
  /// Loads the norm of `features` columns called `name`. Throws FileError.
  ModuleNorm(ModelBuilder<T>& builder, const std::string& name, Index features, double epsilon)
      : plan_(builder.plan[name]),
        norm_(builder.weights.vector(name + ".weight", features),
              builder.weights.vector(name + ".bias", features),
              {.epsilon = epsilon,
               .trainable = plan_.role == ModuleRole::trained || plan_.train_bias}) {
    norm_.set_name(name);
  }

  /// Tells whether backward needs the input, because an element of gamma is too small to divide by.
  [[nodiscard]] bool needs_input() const { return !norm_.invertible(); }

  /// Normalises x (N, D) in place. With a tape keeps there what backward needs, and in `kept` (N,
  /// D) the input where needs_input().
  void forward(MatrixRef<T> x, Tape<T>* tape, MatrixRef<T> kept) const {
    if (tape == nullptr) return norm_.forward(x, x);
    if (needs_input()) kept = x;
    norm_.forward(x, *tape, x);
  }

  /// Computes the gradient of the input in place of dy (N, D), from the forward's output y.
  void backward(ConstMatrixRef<T> y, ConstMatrixRef<T> kept, Tape<T>& tape,
                GradientTarget<T> target, MatrixRef<T> dy) const {
    if (needs_input())
      norm_.backward(kept, dy, tape, target, dy);
    else
      norm_.backward_from_output(y, dy, tape, target, dy);
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    list.total += 2 * norm_.features();
    if (plan_.role == ModuleRole::trained) list.add(norm_.gamma());
    if (norm_.config().trainable) list.add(norm_.beta());
  }

 private:
  ModulePlan plan_;
  LayerNorm<T> norm_;
};

}  // namespace lora::models
