#pragma once

#include "lora/core/elementwise.hpp"
#include "lora/core/output.hpp"

namespace lora {

/// Computes y = max(x, 0) for x and y (N, D). y may be x itself, but no other part of its memory.
/// Throws ShapeError.
template <class T>
void relu(ConstMatrixRef<T> x, Output<T> y) {
  MatrixRef<T> to = y.shaped_elementwise(x.rows(), x.cols(), "relu", "y", {x});
  for_each_row(x.rows(), x.cols(), 16, [&](Index i) { to.row(i) = x.row(i).cwiseMax(T(0)); });
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
  MatrixRef<T> to = dx.shaped_elementwise(y.rows(), y.cols(), "relu_backward", "dx", {y, dy});
  for_each_row(y.rows(), y.cols(), 16, [&](Index i) {
    to.row(i) = (y.row(i).array() > T(0)).select(dy.row(i).array(), T(0)).matrix();
  });
}

/// Computes y = max(y + x, 0), the end of a residual block; x and y are (N, D) and no part of each
/// other. Throws ShapeError.
template <class T>
void add_and_relu(ConstMatrixRef<T> x, MatrixRef<T> y) {
  require_shape(x, y.rows(), y.cols(), "add_and_relu", "x");
  for_each_row(x.rows(), x.cols(), 16,
               [&](Index i) { y.row(i) = (y.row(i) + x.row(i)).cwiseMax(T(0)); });
}

/// Computes dy = dy + x where y > 0, else 0: the gradient of a residual block's input, x and dy
/// what its two branches give, on its way through the relu whose output y that input is. All are
/// (N, D) and no part of each other. Throws ShapeError.
template <class T>
void add_and_relu_backward(ConstMatrixRef<T> y, ConstMatrixRef<T> x, MatrixRef<T> dy) {
  require_shape(x, y.rows(), y.cols(), "add_and_relu_backward", "x");
  require_shape(dy, y.rows(), y.cols(), "add_and_relu_backward", "dy");
  for_each_row(y.rows(), y.cols(), 16, [&](Index i) {
    dy.row(i) = (y.row(i).array() > T(0)).select((dy.row(i) + x.row(i)).array(), T(0)).matrix();
  });
}

/// Does the same for the scalar of y.
template <class Y>
void relu_backward(const Eigen::MatrixBase<Y>& y, ConstMatrixRef<typename Y::Scalar> dy,
                   Output<typename Y::Scalar> dx) {
  relu_backward<typename Y::Scalar>(y.derived(), dy, dx);
}

}  // namespace lora
