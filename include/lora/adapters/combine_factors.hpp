#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/adapters/clamp.hpp"
#include "lora/adapters/combine_options.hpp"
#include "lora/adapters/factor_pair.hpp"
#include "lora/adapters/low_rank_svd.hpp"
#include "lora/adapters/pruning.hpp"
#include "lora/adapters/weighted_sum.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/core/printable.hpp"
#include "lora/kernels/product.hpp"

namespace lora {

/// One adapter's part in a combination: weight * scaling * B A. Views A and B.
template <class T>
struct LowRankTerm {
  ConstMatrixRef<T> a;         ///< (rank, in)
  ConstMatrixRef<T> b;         ///< (out, rank)
  double scaling = 1;          ///< alpha / rank, or alpha / sqrt(rank)
  double weight = 1;           ///< of the combination; negative ones subtract
  std::string_view name = {};  ///< for messages
};

namespace detail {

template <class T>
void require_terms(const std::vector<LowRankTerm<T>>& terms, CombinationType type) {
  constexpr const char* where = "combine_factors";
  if (terms.empty()) throw ConfigError(message(where, ": there is no adapter to combine"));
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const LowRankTerm<T>&term = terms[i], &first = terms.front();
    const std::string what = term.name.empty()
                                 ? message("adapter ", i)
                                 : message("the adapter ", in_quotes(std::string(term.name)));
    require_factors<T>(term.a, term.b, where, what);
    require_finite(term.scaling, where, "the scaling of " + what);
    require_finite(term.weight, where, "the weight of " + what);
    if (term.a.cols() != first.a.cols() || term.b.rows() != first.b.rows())
      throw ShapeError(message(where, ": ", what, " is of (out, in) = (", term.b.rows(), ", ",
                               term.a.cols(), "), expected (", first.b.rows(), ", ", first.a.cols(),
                               ") as the first"));
    if (needs_equal_ranks(type) && term.a.rows() != first.a.rows())
      throw ShapeError(message(where, ": ", what, " has rank ", term.a.rows(), ", expected ",
                               first.a.rows(), " as the first: ", name_of(type),
                               " needs equal ranks, cat and the svd types do not"));
  }
}

// All c_i A_i below each other and all B_i beside each other: exactly the sum of c_i B_i A_i.
template <class T>
[[nodiscard]] FactorPair<T> concatenated(const std::vector<LowRankTerm<T>>& terms) {
  Index rank = 0;
  for (const LowRankTerm<T>& term : terms) rank += term.a.rows();
  FactorPair<T> all{Matrix<T>(rank, terms.front().a.cols()),
                    Matrix<T>(terms.front().b.rows(), rank)};
  rank = 0;
  for (const LowRankTerm<T>& term : terms) {
    all.a.middleRows(rank, term.a.rows()) = static_cast<T>(term.weight * term.scaling) * term.a;
    all.b.middleCols(rank, term.a.rows()) = term.b;
    rank += term.a.rows();
  }
  return all;
}

// Prunes the tensors, all A's, all B's or all updates, and adds them. `kind` tells their random
// numbers apart.
template <class T>
[[nodiscard]] Matrix<T> merged(std::vector<Matrix<T>> tensors, const std::vector<double>& weights,
                               const CombineOptions& options, const Random& random,
                               std::uint64_t kind) {
  using enum CombinationType;
  const CombinationType type = options.combination_type;
  const bool by_magnitude =
      type == ties || type == ties_svd || type == magnitude_prune || type == magnitude_prune_svd;
  for (std::size_t i = 0; i < tensors.size() && uses_density(type); ++i)
    if (by_magnitude)
      prune_by_magnitude(tensors[i], *options.density);
    else
      prune_at_random(tensors[i], *options.density, random, 2 * i + kind);
  if (type == ties || type == ties_svd || type == dare_ties || type == dare_ties_svd)
    return majority_sign_sum(tensors, weights, options.majority_sign_method);
  return weighted_sum(tensors, weights);
}

// The best approximation of a whole update, shared as LowRankSvd::factors shares it.
template <class T>
[[nodiscard]] FactorPair<T> approximated(const Matrix<T>& update, Index rank,
                                         const SvdOptions& svd) {
  const Index most = std::min({rank, update.rows(), update.cols()});
  const LowRankFactors<T> found = low_rank_factors<T>(update, most, svd);
  return low_rank_svd<T>(found.left, found.right).template factors<T>(rank);
}

}  // namespace detail

/// Combines the updates of one module, each weight_i scaling_i B_i A_i, into one pair A, B whose
/// product is the result, as PEFT 0.21.2's add_weighted_adapter does for each layer; the scaling of
/// the new adapter is 1. Its rank is the sum of all ranks for cat, svd_rank for the svd types (or
/// the largest, with zeros beyond min(out, in)), and the common rank for all others. `substream`
/// selects the random numbers of the dare types, so that modules differ: substream_of.
///
/// svd never forms the (out, in) sum; the other svd types keep one (out, in) matrix for each term.
/// A single term is pruned or approximated as several are; PEFT treats an adapter that is alone as
/// linear, whatever was asked for. The same bits for any number of threads.
///
/// Throws ConfigError for options that are out of range, missing, or of no use to the type, if
/// there are no terms, and for numbers that are not finite; ShapeError for terms of unequal (out,
/// in), or of unequal ranks where the type needs equal ones.
template <class T>
[[nodiscard]] FactorPair<T> combine_factors(const std::vector<LowRankTerm<T>>& terms,
                                            const CombineOptions& options = {},
                                            std::uint64_t substream = 0) {
  const CombinationType type = options.combination_type;
  validate(options, "combine_factors");
  detail::require_terms(terms, type);
  const auto checked = [](FactorPair<T> result) {
    if (!all_finite<T>(result.a) || !all_finite<T>(result.b))
      throw ConfigError("combine_factors: the result is not finite in this scalar type");
    return result;
  };
  if (type == CombinationType::cat) return checked(detail::concatenated(terms));

  const Random random(options.seed, RandomStream::pruning, substream);
  if (!uses_svd(type)) {
    std::vector<Matrix<T>> as, bs;
    std::vector<double> a_weights, b_weights;
    for (const LowRankTerm<T>& term : terms) {
      const double c = term.weight * term.scaling;
      as.push_back(term.a);
      bs.push_back(term.b);
      b_weights.push_back(std::sqrt(std::abs(c)));
      a_weights.push_back(c < 0 ? -b_weights.back() : b_weights.back());
    }
    return checked({detail::merged(std::move(as), a_weights, options, random, 0),
                    detail::merged(std::move(bs), b_weights, options, random, 1)});
  }

  Index rank = 0;
  for (const LowRankTerm<T>& term : terms) rank = std::max(rank, term.a.rows());
  rank = options.svd_rank.value_or(rank);
  FactorPair<T> result;
  if (type == CombinationType::svd) {
    const FactorPair<T> all = detail::concatenated(terms);
    result = low_rank_svd<T>(all.b, all.a).template factors<T>(rank);
  } else {
    std::vector<Matrix<T>> updates;
    std::vector<double> weights;
    for (const LowRankTerm<T>& term : terms) {
      Matrix<T> update = Matrix<T>::Zero(term.b.rows(), term.a.cols());
      add_product(update, static_cast<T>(term.scaling), term.b, term.a);
      updates.push_back(std::move(update));
      weights.push_back(term.weight);
    }
    const Matrix<T> update = detail::merged(std::move(updates), weights, options, random, 0);
    result = detail::approximated(update, rank, options.svd);
  }
  if (options.svd_clamp) clamp_to_quantile(result, *options.svd_clamp);
  return checked(std::move(result));
}

}  // namespace lora
