#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include <lora/core/matrix.hpp>

namespace lora::test {

/// Says how far two ways of computing the same sums may differ: a sum of `depth` products in T is
/// off by at most about depth * epsilon times the sum of their magnitudes, and in practice by its
/// square root; 4 leaves room for the order of operations. What tests compare with is computed in
/// double, so no type is held to more.
template <class T>
struct Tolerance {
  explicit Tolerance(Index depth, double magnitude = 1)
      : value(4 *
              std::max(static_cast<double>(std::numeric_limits<T>::epsilon()),
                       std::numeric_limits<double>::epsilon()) *
              std::sqrt(static_cast<double>(depth + 1)) *
              std::sqrt(static_cast<double>(depth + 1)) * magnitude) {}
  double value;
};

/// Returns the largest absolute difference between two matrices of one shape.
template <class A, class B>
[[nodiscard]] double largest_difference(const Eigen::MatrixBase<A>& a,
                                        const Eigen::MatrixBase<B>& b) {
  if (a.size() == 0) return 0;
  return (a.template cast<double>() - b.template cast<double>()).cwiseAbs().maxCoeff();
}

/// Tells whether two matrices have the same shape and the same bits (0 and -0 count as the same).
template <class A, class B>
[[nodiscard]] bool same_bits(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() && (a.array() == b.array()).all();
}

}  // namespace lora::test
