#pragma once

#include <string>
#include <utility>

#include "lora/core/matrix.hpp"

namespace lora {

/// Holds something trainable: a matrix (a vector is (1, n)), its gradient of the same shape, and
/// the name that files, patterns and optimizer groups know it by, as PEFT and PyTorch write it:
/// `encoder.layer.0.attention.self.query.lora_A.weight`.
template <class T>
struct Parameter {
  using Scalar = T;

  Parameter() = default;

  /// Takes `value`, with a gradient of zeros.
  Parameter(std::string parameter_name, Matrix<T> initial)
      : name(std::move(parameter_name)),
        value(std::move(initial)),
        grad(Matrix<T>::Zero(value.rows(), value.cols())) {}

  /// Sets the gradient to zero. Gradients accumulate until this is called.
  void zero_grad() { grad.setZero(); }

  /// Returns the number of scalars.
  [[nodiscard]] Index size() const { return value.size(); }

  std::string name;
  Matrix<T> value;
  Matrix<T> grad;
};

}  // namespace lora
