#pragma once

#include "lora/core/matrix.hpp"
#include "lora/core/parameter.hpp"
#include "lora/kernels/product.hpp"

namespace lora {

/// Returns weight || M M^T - I ||_F, how far the rows of M (rank, n) are from orthonormal ones, and
/// adds its gradient, weight * 2 (M M^T - I) M / || M M^T - I ||_F, to the parameter's. Where the
/// norm is 0, so is the gradient. M is the value or, with `columns`, its transpose: B of AdaLoRA
/// (equation 4 of arXiv 2303.10512, but with the norm itself, as PEFT 0.21 has it).
template <class T>
double add_orthogonality(Parameter<T>& parameter, double weight, bool columns = false) {
  const ConstMatrixRef<T> m = parameter.value;
  const Index rank = columns ? m.cols() : m.rows();
  Matrix<T> gram = Matrix<T>::Zero(rank, rank);  // (rank, rank)
  if (columns)
    add_product(MatrixRef<T>(gram), T(1), m.transpose(), m);
  else
    add_product(MatrixRef<T>(gram), T(1), m, m.transpose());
  gram.diagonal().array() -= T(1);
  const T norm = gram.norm();
  if (norm == 0) return 0;
  const T scale = static_cast<T>(2 * weight) / norm;
  if (columns)
    add_product(MatrixRef<T>(parameter.grad), scale, m, gram);
  else
    add_product(MatrixRef<T>(parameter.grad), scale, gram, m);
  return weight * static_cast<double>(norm);
}

}  // namespace lora
