#pragma once

#include <algorithm>
#include <cmath>

#include <lora/core/matrix.hpp>

namespace lora::test {

/// Returns the gradient of `loss()` with respect to the elements of `at`, by central differences
/// of step h: exact for a loss that is at most quadratic in each element, up to rounding.
template <class Loss>
[[nodiscard]] Matrix<double> finite_difference(MatrixRef<double> at, const Loss& loss,
                                               double h = 1e-4) {
  Matrix<double> gradient(at.rows(), at.cols());
  for (Index i = 0; i < at.rows(); ++i)
    for (Index j = 0; j < at.cols(); ++j) {
      const double kept = at(i, j);
      at(i, j) = kept + h;
      const double above = loss();
      at(i, j) = kept - h;
      const double below = loss();
      at(i, j) = kept;
      gradient(i, j) = (above - below) / (2 * h);
    }
  return gradient;
}

/// Returns the largest difference of two gradients over the largest element of the second.
[[nodiscard]] inline double relative_error(const Matrix<double>& gradient,
                                           const Matrix<double>& reference) {
  if (gradient.size() == 0) return 0;
  const double scale = std::max(reference.cwiseAbs().maxCoeff(), 1e-12);
  return (gradient - reference).cwiseAbs().maxCoeff() / scale;
}

}  // namespace lora::test
