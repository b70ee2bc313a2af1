#pragma once

#include <Eigen/Core>
#include <Eigen/SVD>

#include "lora/core/thread_limit.hpp"

namespace lora {

#if EIGEN_MAJOR_VERSION >= 5
/// U diag(S) V^T with thin U and V, by divide and conquer. (Eigen 5 takes as a template's argument
/// that U and V are thin, and calls 3.4's way deprecated.)
template <class M>
using ThinBdcSvd = Eigen::BDCSVD<M, Eigen::ComputeThinU | Eigen::ComputeThinV>;

/// The same by Jacobi's rotations.
template <class M>
using ThinJacobiSvd = Eigen::JacobiSVD<M, Eigen::ComputeThinU | Eigen::ComputeThinV>;
#else
/// U diag(S) V^T with thin U and V, by divide and conquer.
template <class M>
using ThinBdcSvd = Eigen::BDCSVD<M>;

/// The same by Jacobi's rotations.
template <class M>
using ThinJacobiSvd = Eigen::JacobiSVD<M>;
#endif

// These name what they return. Were it deduced, every template that calls them with a matrix of
// double would compile the decomposition where it is read, used or not: eight seconds.

/// Decomposes `matrix` = U diag(S) V^T with thin U and V by divide and conquer, Eigen::BDCSVD, on
/// one thread, since Eigen's products depend on the number of threads.
template <class M>
[[nodiscard]] ThinBdcSvd<M> thin_bdc_svd(const M& matrix) {
  const ThreadLimit limit(1);
#if EIGEN_MAJOR_VERSION >= 5
  return ThinBdcSvd<M>(matrix);
#else
  return ThinBdcSvd<M>(matrix, Eigen::ComputeThinU | Eigen::ComputeThinV);
#endif
}

/// The same by Jacobi's rotations, Eigen::JacobiSVD: slower, and exact to more digits.
template <class M>
[[nodiscard]] ThinJacobiSvd<M> thin_jacobi_svd(const M& matrix) {
  const ThreadLimit limit(1);
#if EIGEN_MAJOR_VERSION >= 5
  return ThinJacobiSvd<M>(matrix);
#else
  return ThinJacobiSvd<M>(matrix, Eigen::ComputeThinU | Eigen::ComputeThinV);
#endif
}

}  // namespace lora
