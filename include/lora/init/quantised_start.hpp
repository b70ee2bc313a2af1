#pragma once

#include <cmath>
#include <type_traits>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/init/low_rank_factors.hpp"
#include "lora/init/start_factors.hpp"
#include "lora/kernels/product.hpp"

namespace lora {

/// What training over a quantised weight begins with: the weight in codes, Q (out, in), and an
/// adapter's factors A (rank, in) and B (out, rank), chosen together so that Q + s B A is near the
/// full-precision W. The adapter belongs to this Q: over another base, Q(W) too, it is wrong.
template <class T, class Storage>
struct QuantisedStart {
  Storage weight;
  Matrix<T> a;
  Matrix<T> b;
  std::vector<double> errors;  ///< |W - (Q + s B A)| / |W| after each round, in Frobenius norms
};

/// The storage that `make` rounds a matrix to.
template <class T, class Make>
using MadeStorage = std::decay_t<std::invoke_result_t<const Make&, ConstMatrixRef<T>>>;

namespace detail {

// W - L R.
template <class T>
[[nodiscard]] Matrix<T> without(ConstMatrixRef<T> weight, const LowRankFactors<T>& factors) {
  Matrix<T> rest = weight;
  add_product(rest, T(-1), factors.left, factors.right);
  return rest;
}

template <class T>
[[nodiscard]] double norm(ConstMatrixRef<T> matrix) {
  double sum = 0;
  for (Index i = 0; i < matrix.rows(); ++i)
    for (Index j = 0; j < matrix.cols(); ++j)
      sum += static_cast<double>(matrix(i, j)) * static_cast<double>(matrix(i, j));
  return std::sqrt(sum);
}

// |rest| / |weight|, 0 for a weight of zeros.
template <class T>
[[nodiscard]] double relative_norm(ConstMatrixRef<T> rest, ConstMatrixRef<T> weight) {
  const double whole = norm<T>(weight);
  return whole > 0 ? norm<T>(rest) / whole : 0;
}

}  // namespace detail
}  // namespace lora
