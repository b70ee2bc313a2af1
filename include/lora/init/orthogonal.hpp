#pragma once

#include <Eigen/QR>

#include "lora/core/matrix.hpp"
#include "lora/core/thread_limit.hpp"
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
  const ThreadLimit limit(1);  // Eigen's own products depend on the number of threads
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(noise.mixing.template cast<double>().eval());
  const Eigen::MatrixXd q = qr.householderQ() * Eigen::MatrixXd::Identity(rank, rank);
  Eigen::MatrixXd even(half, rank), odd(half, rank);
  for (Index i = 0; i < half; ++i) {
    even.row(i) = q.row(2 * i);
    odd.row(i) = q.row(2 * i + 1);
  }
  const Eigen::MatrixXd in = noise.of_input.template cast<double>(),
                        out = noise.of_output.template cast<double>();
  const Eigen::MatrixXd a = (in * even).transpose() / 10, b = out.transpose() * odd / 10;
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
