#pragma once

#include "lora/core/output.hpp"

namespace lora {

/// Computes y = max(x, 0) for x and y (N, D). y may be x itself, but no other part of its memory.
/// Throws ShapeError.
template <class T>
void relu(ConstMatrixRef<T> x, Output<T> y) {
  y.shaped_elementwise(x.rows(), x.cols(), "relu", "y", {x}) = x.cwiseMax(T(0));
}

/// Does the same for the scalar of x.
template <class X>
void relu(const Eigen::MatrixBase<X>& x, Output<typename X::Scalar> y) {
  relu<typename X::Scalar>(x.derived(), y);
}

/// Computes dx = dy where y > 0, else 0, from relu's output y; all are (N, D). dx may be dy or y
/// itself, but no other part of their memory. Throws ShapeError.
template <class T>
void relu_backward(ConstMatrixRef<T> y, ConstMatrixRef<T> dy, Output<T> dx) {
  require_shape(dy, y.rows(), y.cols(), "relu_backward", "dy");
  dx.shaped_elementwise(y.rows(), y.cols(), "relu_backward", "dx", {y, dy}) =
      (y.array() > T(0)).select(dy.array(), T(0)).matrix();
}

/// Does the same for the scalar of y.
template <class Y>
void relu_backward(const Eigen::MatrixBase<Y>& y, ConstMatrixRef<typename Y::Scalar> dy,
                   Output<typename Y::Scalar> dx) {
  relu_backward<typename Y::Scalar>(y.derived(), dy, dx);
}

}  // namespace lora
