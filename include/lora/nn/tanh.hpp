#pragma once

#include <cmath>

#include "lora/core/elementwise.hpp"

namespace lora {

/// Computes y = tanh(x) for x (N, D), the activation of BERT's pooler; y is resized to (N, D) and
/// may be x itself.
template <class T>
void tanh_activation(std::type_identity_t<ConstMatrixRef<T>> x, Matrix<T>& y) {
  y.resize(x.rows(), x.cols());
  // One row a sequence: too little to be worth a vector function, so the exact one.
  for_each_row(x.rows(), x.cols(), 128, [&](Index row) {
    for (Index j = 0; j < x.cols(); ++j) y(row, j) = std::tanh(x(row, j));
  });
}

/// Computes dx = dy (1 - y^2) from tanh's output y (N, D); dx is resized to (N, D) and may be dy or
/// y itself. Throws ShapeError.
template <class T>
void tanh_activation_backward(std::type_identity_t<ConstMatrixRef<T>> y,
                              std::type_identity_t<ConstMatrixRef<T>> dy, Matrix<T>& dx) {
  namespace ei = Eigen::internal;
  require_shape(dy, y.rows(), y.cols(), "tanh_activation_backward", "dy");
  dx.resize(y.rows(), y.cols());
  elementwise(
      dx, 16,
      [](const Packet<T>& v, const Packet<T>& g) {
        return ei::pmul(g, ei::psub(ei::pset1<Packet<T>>(T(1)), ei::pmul(v, v)));
      },
      y, dy);
}

}  // namespace lora
