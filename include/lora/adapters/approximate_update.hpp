#pragma once

#include <algorithm>
#include <cmath>

#include "lora/adapters/low_rank_svd.hpp"
#include "lora/adapters/resize_factors.hpp"
#include "lora/init/low_rank_factors.hpp"
#include "lora/kernels/product.hpp"

namespace lora {

/// Returns factors B = U S (out, rank) and A = V^T (rank, in) with B A close to `update` (out, in).
/// low_rank_factors finds the singular values, of which `choice` says how many are kept; for an
/// energy it looks for 16 of them, then for twice as many until they have it. The error is
/// measured, not estimated. The same bits for any number of threads. Throws ConfigError for a
/// choice or `svd` out of range and for numbers that are not finite, or whose squares' sum is not.
template <class T>
[[nodiscard]] ResizedFactors<T> approximate_update(ConstMatrixRef<T> update,
                                                   const RankChoice& choice,
                                                   const SvdOptions& svd = {}) {
  constexpr const char* where = "approximate_update";
  validate(choice, where);
  validate(svd, where);
  const Index most = std::min(update.rows(), update.cols());
  require_decomposable<T>(update, std::min<Index>(1, most), where);
  double energy = 0;
  for (Index i = 0; i < update.rows(); ++i)
    energy += update.row(i).template cast<double>().squaredNorm();
  if (energy == 0) {
    const Index rank = choice.energy ? 1 : *choice.rank;
    return {{Matrix<T>::Zero(rank, update.cols()), Matrix<T>::Zero(update.rows(), rank)}, 0, 0};
  }

  const Index wanted = std::min(most, choice.rank.value_or(most));
  // All of a small one, or of one that is wanted exactly, costs one decomposition.
  const bool at_once = !choice.energy || svd.exact;
  Index looked_for = at_once ? wanted : std::min<Index>(16, wanted);
  for (;;) {
    const LowRankFactors<T> found = low_rank_factors<T>(update, looked_for, svd);
    const LowRankSvd values = low_rank_svd<T>(found.left, found.right);
    if (looked_for < wanted && values.s.squaredNorm() < *choice.energy * energy) {
      looked_for = std::min(2 * looked_for, wanted);
      continue;
    }
    const Index rank = chosen_rank(choice, values.s, energy);
    ResizedFactors<T> result{values.factors<T>(rank), std::sqrt(energy), 0};
    Matrix<T> missing = update;
    add_product(missing, T(-1), result.factors.b, result.factors.a);
    result.error = missing.template cast<double>().norm();
    return result;
  }
}

}  // namespace lora
