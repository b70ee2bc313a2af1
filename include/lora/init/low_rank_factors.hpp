#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/thin_svd.hpp"
#include "lora/init/gaussian.hpp"
#include "lora/init/orthonormal_rows.hpp"
#include "lora/kernels/product.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// How the largest singular values and vectors of a matrix are found.
struct SvdOptions {
  /// The whole decomposition by Eigen's BDCSVD instead of a randomised range finder: most of a
  /// minute at 4096 x 4096, where the other takes a third of a second.
  bool exact = false;
  Index oversampling = 16;     ///< directions beyond the rank that are looked for too
  Index power_iterations = 4;  ///< more find more of a spectrum that falls slowly
  std::uint64_t seed = 0;      ///< of the directions that the search begins with
};

/// The best approximation L R of a matrix that has a given rank: M = U S V^T to its largest
/// singular values, shared alike: L = U sqrt(S), R = sqrt(S) V^T.
template <class T>
struct LowRankFactors {
  Matrix<T> left;   ///< L (rows, rank)
  Matrix<T> right;  ///< R (rank, columns)
};

/// Throws ConfigError, naming `where`, unless `options` can be used.
template <class Where>
void validate(const SvdOptions& options, const Where& where) {
  if (options.oversampling < 0)
    throw ConfigError(
        message(where, ": oversampling is ", options.oversampling, ", expected at least 0"));
  if (options.power_iterations < 0)
    throw ConfigError(message(where, ": power_iterations is ", options.power_iterations,
                              ", expected at least 0"));
}

/// Throws ConfigError, naming `where`, unless 1 <= rank <= min(matrix.rows(), matrix.cols()) and
/// every number of `matrix` is finite.
template <class T, class Where>
void require_decomposable(ConstMatrixRef<T> matrix, Index rank, const Where& where) {
  const Index most = std::min(matrix.rows(), matrix.cols());
  if (rank < 1 || rank > most)
    throw ConfigError(message(where, ": rank is ", rank, ", expected 1 to ", most, " of a matrix ",
                              shape_of(matrix)));
  for (Index i = 0; i < matrix.rows(); ++i)
    for (Index j = 0; j < matrix.cols(); ++j)
      if (!is_finite(matrix(i, j)))
        throw ConfigError(
            message(where, ": W(", i, ", ", j, ") = ", matrix(i, j), " is not a finite number"));
}

namespace detail {

// Of U (rows, k), S (k) falling and V (columns, k), as many as `rank`.
template <class T, class Svd>
[[nodiscard]] LowRankFactors<T> balanced(const Svd& svd, Index rank) {
  const Eigen::VectorXd root = svd.singularValues().head(rank).cwiseSqrt();
  const Eigen::MatrixXd left = svd.matrixU().leftCols(rank) * root.asDiagonal();
  const Eigen::MatrixXd right = root.asDiagonal() * svd.matrixV().leftCols(rank).transpose();
  return {left.template cast<T>(), right.template cast<T>()};
}

}  // namespace detail

/// Returns L (m, rank) and R (rank, n) with L R close to `matrix` (m, n): the closest there is
/// with options.exact; otherwise by a randomised range finder with power iterations (Halko,
/// Martinsson and Tropp, "Finding structure with randomness", 2011, algorithms 4.4 and 5.1: what
/// PiSSA calls fast SVD), which costs 2 + 2 power_iterations products of the matrix with
/// rank + oversampling vectors.
///
/// A function of the arguments: the same bits for any number of threads. Throws ConfigError for a
/// rank that is not from 1 to min(m, n), for options out of range, for a number that is not finite,
/// naming its place, and for numbers so large that sums of their products are not finite.
template <class T>
[[nodiscard]] LowRankFactors<T> low_rank_factors(ConstMatrixRef<T> matrix, Index rank,
                                                 const SvdOptions& options = {}) {
  validate(options, "low_rank_factors");
  require_decomposable<T>(matrix, rank, "low_rank_factors");
  if (options.exact) {
    const Eigen::MatrixXd wide = matrix.template cast<double>();
    return detail::balanced<T>(thin_bdc_svd(wide), rank);
  }

  const Index rows = matrix.rows(), cols = matrix.cols(), most = std::min(rows, cols);
  const Index count = options.oversampling > most - rank ? most : rank + options.oversampling;
  // Before a basis is made of them: rows that are not finite would become zeros.
  const auto require_in_range = [&](const Matrix<T>& products) {
    if (!all_finite<T>(products))
      throw ConfigError(
          message("low_rank_factors: the numbers of the matrix ", shape_of(matrix),
                  " are too large: sums of their products are not finite in this scalar type"));
  };
  // Both bases are kept as rows, which are long and contiguous.
  Matrix<T> of_rows(count, cols), of_columns(count, rows);
  gaussian<T>(of_rows, Random(options.seed, RandomStream::initialisation), 1);
  for (Index pass = 0;; ++pass) {
    of_columns.setZero();
    add_product(of_columns, T(1), of_rows, matrix.transpose());
    require_in_range(of_columns);
    orthonormalise_rows<T>(of_columns);
    of_rows.setZero();
    add_product(of_rows, T(1), of_columns, matrix);
    require_in_range(of_rows);
    if (pass == options.power_iterations) break;
    orthonormalise_rows<T>(of_rows);
  }

  // M is nearly P^T (P M), and P M = C Z for the basis Z of its rows: the decomposition of the
  // small C (count, count) gives M's.
  const Matrix<T> projected = of_rows;
  orthonormalise_rows<T>(of_rows);
  Matrix<T> core = Matrix<T>::Zero(count, count);
  add_product(core, T(1), projected, of_rows.transpose());
  require_in_range(core);
  const Eigen::MatrixXd wide = core.template cast<double>();
  const LowRankFactors<T> small = detail::balanced<T>(thin_jacobi_svd(wide), rank);
  LowRankFactors<T> factors{Matrix<T>::Zero(rows, rank), Matrix<T>::Zero(rank, cols)};
  add_product(factors.left, T(1), of_columns.transpose(), small.left);
  add_product(factors.right, T(1), small.right, of_rows);
  return factors;
}

}  // namespace lora
