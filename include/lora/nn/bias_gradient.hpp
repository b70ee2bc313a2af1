#pragma once

#include "lora/core/matrix.hpp"

namespace lora {

/// Adds to db (1, out) the gradient of a bias, the sum of dy (N, out) over its rows, in their
/// order.
template <class T>
void add_bias_gradient(ConstMatrixRef<T> dy, MatrixRef<T> db) {
  for (Index n = 0; n < dy.rows(); ++n) db.row(0) += dy.row(n);
}

/// Adds s times the same to db (1, out): the gradient of a bias that is multiplied by s.
template <class T>
void add_bias_gradient(ConstMatrixRef<T> dy, T s, MatrixRef<T> db) {
  for (Index n = 0; n < dy.rows(); ++n) db.row(0) += s * dy.row(n);
}

}  // namespace lora
