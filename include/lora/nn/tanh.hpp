#pragma once

#include <cmath>

#include "lora/core/elementwise.hpp"
#include "lora/core/output.hpp"

namespace lora {

/// Computes y = tanh(x) for x and y (N, D), the activation of BERT's pooler. y may be x itself, but
/// no other part of its memory. Throws ShapeError.
template <class T>
void tanh_activation(ConstMatrixRef<T> x, Output<T> y) {
  MatrixRef<T> out = y.shaped_elementwise(x.rows(), x.cols(), "tanh_activation", "y", {x});
  // One row a sequence: too little to be worth a vector function, so the exact one.
  for_each_row(x.rows(), x.cols(), 128, [&](Index row) {
    for (Index j = 0; j < x.cols(); ++j) out(row, j) = std::tanh(x(row, j));
  });
}

/// Does the same for the scalar of x.
template <class X>
void tanh_activation(const Eigen::MatrixBase<X>& x, Output<typename X::Scalar> y) {
  tanh_activation<typename X::Scalar>(x.derived(), y);
}

/// Computes dx = dy (1 - y^2) from tanh's output y; all are (N, D). dx may be dy or y itself, but
/// no other part of their memory. Throws ShapeError.
template <class T>
void tanh_activation_backward(ConstMatrixRef<T> y, ConstMatrixRef<T> dy, Output<T> dx) {
  namespace ei = Eigen::internal;
  constexpr const char* where = "tanh_activation_backward";
  require_shape(dy, y.rows(), y.cols(), where, "dy");
  MatrixRef<T> out = dx.shaped_elementwise(y.rows(), y.cols(), where, "dx", {y, dy});
  elementwise(
      out, 16,
      [](const Packet<T>& v, const Packet<T>& g) {
        return ei::pmul(g, ei::psub(ei::pset1<Packet<T>>(T(1)), ei::pmul(v, v)));
      },
      y, dy);
}

/// Does the same for the scalar of y.
template <class Y>
void tanh_activation_backward(const Eigen::MatrixBase<Y>& y, ConstMatrixRef<typename Y::Scalar> dy,
                              Output<typename Y::Scalar> dx) {
  tanh_activation_backward<typename Y::Scalar>(y.derived(), dy, dx);
}

}  // namespace lora
