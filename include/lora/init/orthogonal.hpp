#pragma once

#include <Eigen/Householder>

#include "lora/core/matrix.hpp"
#include "lora/init/gaussian.hpp"
#include "lora/init/start_factors.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// The random numbers of an orthogonal start, all normal of variance 1.
template <class T>
struct OrthogonalNoise {
  Matrix<T> mixing;     ///< (rank, rank), of which Q is the orthonormal part
  Matrix<T> of_input;   ///< (in, rank / 2)
  Matrix<T> of_output;  ///< (rank / 2, out)
};

namespace detail {

/// Q (n, n) of the decomposition Q R of a square matrix, by Householder reflections one after the
/// other with LAPACK's signs (geqr2), in double. Eigen's HouseholderQR works by blocks, whose
/// products would be a fifth of what a program with a LoRA layer has to compile; this matrix has
/// rank rows. (A template, so that a program that links lora::compiled does not compile it.)
template <class T>
Eigen::MatrixXd orthonormal_factor(const Matrix<T>& square) {
  Eigen::MatrixXd matrix = square.template cast<double>();
  const Index n = matrix.rows();
  Eigen::VectorXd lengths(n), work(n);
  for (Index k = 0; k < n; ++k) {
    double beta = 0;
    matrix.col(k).tail(n - k).makeHouseholderInPlace(lengths(k), beta);
    matrix(k, k) = beta;
    matrix.bottomRightCorner(n - k, n - k - 1)
        .applyHouseholderOnTheLeft(matrix.col(k).tail(n - k - 1), lengths(k), work.data());
  }
  Eigen::MatrixXd q = Eigen::MatrixXd::Identity(n, n);
  for (Index k = n - 1; k >= 0; --k)
    q.bottomRightCorner(n - k, n - k)
        .applyHouseholderOnTheLeft(matrix.col(k).tail(n - k - 1), lengths(k), work.data());
  return q;
}

}  // namespace detail

/// Makes A (rank, in) and B (out, rank) that are both random and for which B A = 0:
///
///     A = (of_input Q_even)^T / 10,    B = of_output^T Q_odd / 10
///
/// where Q is the orthonormal factor of `mixing`, Q_even its rows 0, 2, ... and Q_odd its rows 1,
/// 3, ... (PEFT 0.21's init_lora_weights="orthogonal"). Throws ConfigError for a rank that is odd
/// or below 2, ShapeError for noise whose shapes do not fit together.
template <class T>
[[nodiscard]] StartFactors<T> orthogonal(const OrthogonalNoise<T>& noise) {
  const Index rank = noise.mixing.rows(), half = rank / 2;
  if (rank < 2 || rank % 2 != 0)
    throw ConfigError(message("orthogonal: rank is ", rank, ", expected an even number"));
  require_shape(noise.mixing, rank, rank, "orthogonal", "mixing", "rank", "rank");
  require_shape(noise.of_input, noise.of_input.rows(), half, "orthogonal", "of_input", "in",
                "rank / 2");
  require_shape(noise.of_output, half, noise.of_output.cols(), "orthogonal", "of_output",
                "rank / 2", "out");
  const Eigen::MatrixXd q = detail::orthonormal_factor(noise.mixing);
  Eigen::MatrixXd even(half, rank), odd(half, rank);
  for (Index i = 0; i < half; ++i) {
    even.row(i) = q.row(2 * i);
    odd.row(i) = q.row(2 * i + 1);
  }
  const Eigen::MatrixXd in = noise.of_input.transpose().template cast<double>(),
                        out = noise.of_output.template cast<double>();
  // Coefficients on their own, in one order for any number of threads, and quick to compile.
  const Eigen::MatrixXd a = even.transpose().lazyProduct(in) / 10,
                        b = out.transpose().lazyProduct(odd) / 10;
  return {a.template cast<T>(), b.template cast<T>()};
}

/// Does the same with noise drawn from `random`, for a weight (out, in). Throws ConfigError for a
/// rank that is odd or below 2.
template <class T>
[[nodiscard]] StartFactors<T> orthogonal(Index out, Index in, Index rank, const Random& random) {
  if (rank < 2 || rank % 2 != 0)
    throw ConfigError(message("orthogonal: rank is ", rank, ", expected an even number"));
  OrthogonalNoise<T> noise{Matrix<T>(rank, rank), Matrix<T>(in, rank / 2),
                           Matrix<T>(rank / 2, out)};
  gaussian<T>(noise.mixing, random, 1, 0);
  gaussian<T>(noise.of_input, random, 1, 1);
  gaussian<T>(noise.of_output, random, 1, 2);
  return orthogonal(noise);
}

}  // namespace lora
