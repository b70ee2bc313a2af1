#pragma once

#include <Eigen/QR>
#include <algorithm>

#include "lora/adapters/factor_pair.hpp"
#include "lora/core/thin_svd.hpp"
#include "lora/core/thread_limit.hpp"

namespace lora {

/// The singular values of a product B A (out, in), largest first, and their vectors:
/// B A = U diag(S) V^T. In double, whatever the factors are in.
struct LowRankSvd {
  Eigen::MatrixXd u;  ///< (out, k) with orthonormal columns
  Eigen::VectorXd s;  ///< (k), for k = min(out, in, rank)
  Eigen::MatrixXd v;  ///< (in, k) with orthonormal columns

  /// Returns B = U S (out, rank) and A = V^T (rank, in) of the largest `rank` singular values, as
  /// PEFT shares them; zeros stand where there are fewer of them.
  template <class T>
  [[nodiscard]] FactorPair<T> factors(Index rank) const {
    FactorPair<T> pair{Matrix<T>::Zero(rank, v.rows()), Matrix<T>::Zero(u.rows(), rank)};
    const Index count = std::min(rank, s.size());
    pair.a.topRows(count) = v.leftCols(count).transpose().template cast<T>();
    pair.b.leftCols(count) = (u.leftCols(count) * s.head(count).asDiagonal()).template cast<T>();
    return pair;
  }

  /// Returns the root of the sum of the squares of all singular values after the first `rank`: the
  /// distance (Frobenius) of the best approximation of that rank. `rank` may exceed their number.
  [[nodiscard]] double tail_norm(Index rank) const {
    return s.tail(s.size() - std::min(rank, s.size())).norm();
  }
};

namespace detail {

// Templates, so that only who computes such a decomposition compiles it: 13 seconds (GCC 12).
//
// The thin orthonormal factor of a tall matrix, or the square one of a wide matrix, and R.
template <class Real>
struct OrthonormalColumns {
  using Any = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>;

  explicit OrthonormalColumns(const Any& matrix) {
    const Index rank = std::min(matrix.rows(), matrix.cols());
    const Eigen::HouseholderQR<Any> qr(matrix);
    q = qr.householderQ() * Any::Identity(matrix.rows(), rank);
    r = qr.matrixQR().topRows(rank).template triangularView<Eigen::Upper>();
  }

  Any q, r;
};

template <class Real>
[[nodiscard]] LowRankSvd thin_svd(
    const Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>& b,
    const Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>& a_columns) {
  const ThreadLimit limit(1);  // Eigen's products depend on the number of threads
  using Any = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>;
  const OrthonormalColumns<Real> left(b), right(a_columns);
  const Any core = left.r * right.r.transpose();
  const auto svd = thin_bdc_svd<Any>(core);
  LowRankSvd result{left.q * svd.matrixU(), svd.singularValues(), right.q * svd.matrixV()};
  // Either sign of a pair of vectors is right: the same one for every machine is chosen.
  for (Index k = 0; k < result.s.size(); ++k) {
    Index largest = 0;
    result.v.col(k).cwiseAbs().maxCoeff(&largest);
    if (result.v(largest, k) >= 0) continue;
    result.v.col(k) *= -1;
    result.u.col(k) *= -1;
  }
  return result;
}

}  // namespace detail

/// Computes the singular values and vectors of B A from B (out, rank) and A (rank, in), without
/// the (out, in) product: B = Q_B R_B and A^T = Q_A R_A, and those of the small core R_B R_A^T. Of
/// each pair of vectors, V's largest element is positive. The same bits for any number of threads.
/// Throws ShapeError for factors that do not fit and ConfigError for a number that is not finite.
template <class T>
[[nodiscard]] LowRankSvd low_rank_svd(ConstMatrixRef<T> b, ConstMatrixRef<T> a) {
  require_factors<T>(a, b, "low_rank_svd");
  return detail::thin_svd<double>(b.template cast<double>(), a.transpose().template cast<double>());
}

}  // namespace lora
