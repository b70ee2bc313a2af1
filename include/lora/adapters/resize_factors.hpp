#pragma once

#include <algorithm>
#include <optional>

#include "lora/adapters/factor_pair.hpp"
#include "lora/adapters/low_rank_svd.hpp"

namespace lora {

/// How many singular values of an update are kept: `rank` of them, or as few as have the share
/// `energy` of the sum of all squares. Where both are given, as few as have it, but at most `rank`.
struct RankChoice {
  std::optional<Index> rank = {};     ///< at least 1
  std::optional<double> energy = {};  ///< in (0, 1]
};

/// Throws ConfigError, naming `where`, unless at least one is given and both are in range.
template <class Where>
void validate(const RankChoice& choice, const Where& where) {
  if (!choice.rank && !choice.energy)
    throw ConfigError(message(where, ": neither a rank nor an energy is given"));
  if (choice.rank && *choice.rank < 1)
    throw ConfigError(message(where, ": rank is ", *choice.rank, ", expected at least 1"));
  if (choice.energy && !(*choice.energy > 0 && *choice.energy <= 1))
    throw ConfigError(message(where, ": energy is ", *choice.energy, ", expected 0 < energy <= 1"));
}

/// Returns how many of an update's singular values `choice` keeps: at least 1, and, where it names
/// no energy, its rank even if there are fewer. `values` are the largest of them, the largest
/// first; `energy` is the sum of the squares of all, also of those that are not in `values`. Throws
/// as validate.
[[nodiscard]] inline Index chosen_rank(const RankChoice& choice, const Eigen::VectorXd& values,
                                       double energy) {
  validate(choice, "chosen_rank");
  if (!choice.energy) return *choice.rank;
  // As PEFT's save_as_lora: the fewest whose squares reach the share, but for the sum's rounding.
  const double rounding = 1e-15 * static_cast<double>(values.size());
  const double wanted = *choice.energy * energy * (1 - rounding);
  const Index most = std::min(choice.rank.value_or(values.size()), values.size());
  double sum = 0;
  Index rank = 0;
  for (; rank < most && (rank == 0 || sum < wanted); ++rank) sum += values[rank] * values[rank];
  return std::max<Index>(rank, 1);
}

/// Does the same where `values` are all singular values of the update.
[[nodiscard]] inline Index chosen_rank(const RankChoice& choice, const Eigen::VectorXd& values) {
  return chosen_rank(choice, values, values.squaredNorm());
}

/// The factors of another rank, and how well they do.
template <class T>
struct ResizedFactors {
  FactorPair<T> factors;
  double norm = 0;   ///< Frobenius norm of the update that was given
  double error = 0;  ///< that of what is missing from it now

  /// Returns error / norm, the share that was lost; 0 of an update that is zero.
  [[nodiscard]] double relative_error() const { return norm > 0 ? error / norm : 0; }
};

/// Returns the best approximation of the update B A (out, in) with the rank that `choice` makes of
/// its singular values, from B (out, rank) and A (rank, in) without forming the product. The new
/// factors are B = U S and A = V^T, as PEFT's, with zeros where a larger rank is asked for than
/// there is. Throws ConfigError for a choice out of range and numbers that are not finite,
/// ShapeError for factors that do not fit together.
template <class T>
[[nodiscard]] ResizedFactors<T> resize_factors(ConstMatrixRef<T> b, ConstMatrixRef<T> a,
                                               const RankChoice& choice) {
  validate(choice, "resize_factors");
  require_factors<T>(a, b, "resize_factors");
  const LowRankSvd svd = low_rank_svd<T>(b, a);
  const Index rank = chosen_rank(choice, svd.s);
  return {svd.factors<T>(rank), svd.s.norm(), svd.tail_norm(rank)};
}

}  // namespace lora
