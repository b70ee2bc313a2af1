#pragma once

#include <string>

#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/model_parameters.hpp"
#include "lora/nn/rms_norm.hpp"

namespace lora::models {

/// An RMS norm of a model, frozen or trained as its plan says. Its output is not kept: backward
/// needs the input, and whoever needs the output computes it again.
template <class T>
class ModuleRMSNorm {
 public:
  /// Loads the norm of `features` columns called `name`. Throws FileError.
  ModuleRMSNorm(ModelBuilder<T>& builder, const std::string& name, Index features, double epsilon)
      : norm_(builder.weights.vector(name + ".weight", features),
              {.epsilon = epsilon, .trainable = builder.plan[name].role == ModuleRole::trained}) {
    norm_.set_name(name);
  }

  /// Computes y (N, D) for x (N, D); with a tape it keeps what backward needs besides x.
  void forward(ConstMatrixRef<T> x, Tape<T>* tape, MatrixRef<T> y) const {
    tape == nullptr ? norm_.forward(x, y) : norm_.forward(x, *tape, y);
  }

  /// Adds to the gradient of what trains and computes dx (N, D), which may be dy.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, GradientTarget<T> target,
                MatrixRef<T> dx) const {
    norm_.backward(x, dy, tape, target, dx);
  }

  /// Does the same without dx; where nothing trains, dy is not looked at.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> target) const {
    norm_.backward(x, dy, tape, target);
  }

  /// Tells whether backward adds a gradient.
  [[nodiscard]] bool trains() const { return norm_.config().trainable; }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    list.total += norm_.features();
    if (trains()) list.add(norm_.weight());
  }

 private:
  RMSNorm<T> norm_;
};

}  // namespace lora::models
