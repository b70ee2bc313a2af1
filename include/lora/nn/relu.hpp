#pragma once

#include "lora/core/matrix.hpp"

namespace lora {

/// Computes y = max(x, 0) for x (N, D); y is resized to (N, D). y may be x itself.
template <class T>
void relu(std::type_identity_t<ConstMatrixRef<T>> x, Matrix<T>& y) {
  y = x.cwiseMax(T(0));
}

/// Computes dx = dy where y > 0, else 0, from relu's output y (N, D); dx is resized to (N, D) and
/// may be dy itself. Throws ShapeError.
template <class T>
void relu_backward(std::type_identity_t<ConstMatrixRef<T>> y,
                   std::type_identity_t<ConstMatrixRef<T>> dy, Matrix<T>& dx) {
  require_shape(dy, y.rows(), y.cols(), "relu_backward", "dy");
  dx = (y.array() > T(0)).select(dy.array(), T(0));
}

}  // namespace lora
