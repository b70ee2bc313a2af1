#pragma once

#include <Eigen/Core>
#include <Eigen/SVD>

#include "lora/core/thread_limit.hpp"

namespace lora {

/// Decomposes `matrix` = U diag(S) V^T with thin U and V by divide and conquer, Eigen::BDCSVD, on
/// one thread, since Eigen's products depend on the number of threads. (Eigen 5 takes as a
/// template's argument that U and V are thin, and calls 3.4's way deprecated.)
template <class M>
[[nodiscard]] auto thin_bdc_svd(const M& matrix) {
  const ThreadLimit limit(1);
#if EIGEN_MAJOR_VERSION >= 5
  return Eigen::BDCSVD<M, Eigen::ComputeThinU | Eigen::ComputeThinV>(matrix);
#else
  return Eigen::BDCSVD<M>(matrix, Eigen::ComputeThinU | Eigen::ComputeThinV);
#endif
}

/// The same by Jacobi's rotations, Eigen::JacobiSVD: slower, and exact to more digits.
template <class M>
[[nodiscard]] auto thin_jacobi_svd(const M& matrix) {
  const ThreadLimit limit(1);
#if EIGEN_MAJOR_VERSION >= 5
  return Eigen::JacobiSVD<M, Eigen::ComputeThinU | Eigen::ComputeThinV>(matrix);
#else
  return Eigen::JacobiSVD<M>(matrix, Eigen::ComputeThinU | Eigen::ComputeThinV);
#endif
}

}  // namespace lora
