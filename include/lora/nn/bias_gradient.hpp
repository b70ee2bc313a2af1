#pragma once

#include "lora/core/matrix.hpp"

namespace lora {

/// Adds to db (1, out) the gradient of a bias, the sum of dy (N, out) over its rows, in their
/// order.
template <class T>
void add_bias_gradient(ConstMatrixRef<T> dy, MatrixRef<T> db) {
  for (Index n = 0; n < dy.rows(); ++n) db.row(0) += dy.row(n);
}

}  // namespace lora
