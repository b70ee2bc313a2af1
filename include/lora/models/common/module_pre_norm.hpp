#pragma once

#include <utility>

#include "lora/core/gradients.hpp"
#include "lora/core/tape.hpp"
#include "lora/models/common/model_parameters.hpp"

namespace lora::models {

/// What norms of a model that stand before a half of a block have in common. Their output is not
/// kept: backward needs the input, and whoever needs the output computes it again. `Norm` is an
/// RMSNorm or a LayerNorm.
template <class Norm>
class ModulePreNorm {
 public:
  using T = typename Norm::Scalar;

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

 protected:
  explicit ModulePreNorm(Norm norm) : norm_(std::move(norm)) {}

  [[nodiscard]] Norm& norm() { return norm_; }

 private:
  Norm norm_;
};

}  // namespace lora::models
