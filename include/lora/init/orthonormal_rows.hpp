#pragma once

#include <cmath>

#include "lora/core/matrix.hpp"

namespace lora {

/// Replaces the rows of `matrix` (k, n) by an orthonormal basis of their span, by Gram-Schmidt done
/// twice ("twice is enough": Giraud, Langou, Rozloznik, 2005), summed in double. A row that lies in
/// the span of those before it, to T's precision, becomes zero. The sums have one order, so the
/// result is the same bits for any number of threads.
template <class T>
void orthonormalise_rows(MatrixRef<T> matrix) {
  constexpr double independent = 32 * static_cast<double>(Eigen::NumTraits<T>::epsilon());
  Eigen::RowVectorXd row(matrix.cols());
  for (Index i = 0; i < matrix.rows(); ++i) {
    row = matrix.row(i).template cast<double>();
    const double before = row.norm();
    for (int pass = 0; pass < 2; ++pass)
      for (Index j = 0; j < i; ++j) {
        const double along = row.dot(matrix.row(j).template cast<double>());
        row -= along * matrix.row(j).template cast<double>();
      }
    const double norm = row.norm();
    if (norm > independent * before)
      matrix.row(i) = (row / norm).template cast<T>();
    else
      matrix.row(i).setZero();
  }
}

}  // namespace lora
