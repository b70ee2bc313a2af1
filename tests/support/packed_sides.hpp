#pragma once

#include <lora/kernels/epilogue.hpp>

#include "support/random_matrix.hpp"

namespace lora::test {

/// Two packed sides of a product as a tile reads them, at random, and their plain sums in double.
template <class T>
struct PackedSides {
  PackedSides(Index depth, Index rows, Index packets, std::uint64_t seed)
      : left(random_matrix<T>(depth, rows, seed)),
        right(random_matrix<T>(depth, packets * Simd<T>::width, seed + 1)) {}

  [[nodiscard]] kernels::Operands<T> operands() const {
    return {left.data(), right.data(), right.cols(), left.rows()};
  }

  /// Returns the sums (rows, columns) over k of left(k, i) right(k, j).
  [[nodiscard]] Matrix<double> sums(Index columns) const {
    Matrix<double> c = Matrix<double>::Zero(left.cols(), columns);
    for (Index k = 0; k < left.rows(); ++k)
      for (Index i = 0; i < c.rows(); ++i)
        for (Index j = 0; j < columns; ++j)
          c(i, j) += static_cast<double>(left(k, i)) * static_cast<double>(right(k, j));
    return c;
  }

  Matrix<T> left;   // (depth, rows)
  Matrix<T> right;  // (depth, whole packets)
};

}  // namespace lora::test
