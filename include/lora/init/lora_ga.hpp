#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/init/low_rank_factors.hpp"
#include "lora/init/split_start.hpp"
#include "lora/kernels/product.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// Which of the gradient's 2 R main directions go to A and which to B; the first is the main one.
enum class LoRAGADirection {
  ArB2r,   ///< A the first R, B the others: PEFT's default
  A2rBr,   ///< A the others, B the first R
  ArBr,    ///< A the second, fourth ..., B the first, third ...
  random,  ///< R of them at random, the same for both
};

/// How LoRA-GA scales the factors.
enum class LoRAGAScale {
  stable,      ///< B times out^(1/4) / sqrt(gamma): PEFT's default
  weight_svd,  ///< B times W's largest singular value over that of B's first direction
  gd_scale,    ///< A and B divided by s
  unit,        ///< as they are
};

/// The settings of lora_ga; the words are those of PEFT's LoraGAConfig.
struct LoRAGAOptions {
  LoRAGADirection direction = LoRAGADirection::ArB2r;
  LoRAGAScale scale = LoRAGAScale::stable;
  double stable_gamma = 16;
  SvdOptions svd = {};
  std::uint64_t seed = 0;  ///< of the random directions
};

/// The mean gradient of a frozen weight W (out, in) over batches, for LoRA-GA: dW = dy^T x of each.
/// Memory is a matrix (out, in). Not for several threads at once.
template <class T>
class WeightGradient {
 public:
  /// Begins for a weight (out, in).
  WeightGradient(Index out, Index in) : sum_(Matrix<T>::Zero(out, in)) {}

  /// Adds what one backward gives the layer: x (N, in), its input, and dy (N, out). Throws
  /// ShapeError; then nothing has changed.
  void add(ConstMatrixRef<T> x, ConstMatrixRef<T> dy) {
    require_cols(x, sum_.cols(), "WeightGradient::add", "x", "in_features");
    require_shape(dy, x.rows(), sum_.rows(), "WeightGradient::add", "dy", "N", "out_features");
    add_product(sum_, T(1), dy.transpose(), x);
    ++batches_;
  }

  /// Returns the mean (out, in). Throws StateError if nothing was added.
  [[nodiscard]] Matrix<T> mean() const {
    if (batches_ == 0) throw StateError("WeightGradient::mean: no batches were added");
    return sum_ / static_cast<T>(batches_);
  }

 private:
  Matrix<T> sum_;
  Index batches_ = 0;
};

/// Starts with directions of W's gradient G (out, in), so that the first steps go where those of
/// full fine-tuning would (Wang, Yu and Li, "LoRA-GA", 2024, arXiv 2407.05000; PEFT 0.21's
/// init_lora_weights="lora_ga"). Of the 2 `rank` main triples of G = U S V^T
///
///     A = V^T of `rank` of them,    B = U S of `rank` of them, scaled,    base = W - s B A
///
/// where s is `scaling`. The same bits for any number of threads. Throws ConfigError for a rank
/// that is not from 1 to min(out, in) / 2, options out of range, a scaling that is not finite (or
/// is 0 with gd_scale), a number of W or G that is not finite, and a G of fewer than 2 `rank`
/// directions; ShapeError for a G of another shape.
template <class T>
[[nodiscard]] SplitStart<T> lora_ga(ConstMatrixRef<T> weight, Index rank, double scaling,
                                    std::type_identity_t<ConstMatrixRef<T>> gradient,
                                    const LoRAGAOptions& options = {}) {
  require_finite(scaling, "lora_ga", "scaling");
  if (options.scale == LoRAGAScale::gd_scale) require_scaling(scaling, "lora_ga");
  require_non_negative(options.stable_gamma, "lora_ga", "stable_gamma");
  if (options.stable_gamma == 0) throw ConfigError("lora_ga: stable_gamma is 0, expected more");
  validate(options.svd, "lora_ga");
  const Index out = weight.rows(), in = weight.cols(), most = std::min(out, in) / 2;
  if (rank < 1 || rank > most)
    throw ConfigError(message("lora_ga: rank is ", rank, ", expected 1 to ", most,
                              ", half the rank of a matrix ", shape_of(weight)));
  require_decomposable<T>(weight, 2 * rank, "lora_ga");
  require_shape(gradient, out, in, "lora_ga", "gradient", "out_features", "in_features");
  require_decomposable<T>(gradient, 2 * rank, "lora_ga: gradient");

  const LowRankFactors<T> main = low_rank_factors<T>(gradient, 2 * rank, options.svd);
  std::vector<Index> of_a, of_b, all(static_cast<std::size_t>(2 * rank));
  for (Index i = 0; i < 2 * rank; ++i) all[static_cast<std::size_t>(i)] = i;
  if (options.direction == LoRAGADirection::random) {
    const Random random(options.seed, RandomStream::initialisation);
    for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random.below(i, 0, i)]);
    of_a.assign(all.begin(), all.begin() + rank);
    of_b = of_a;
  } else {
    for (const Index i : all) {
      const bool is_a = options.direction == LoRAGADirection::ArB2r   ? i < rank
                        : options.direction == LoRAGADirection::A2rBr ? i >= rank
                                                                      : i % 2 == 1;
      (is_a ? of_a : of_b).push_back(i);
    }
  }

  SplitStart<T> start;
  start.a.resize(rank, in);
  start.b.resize(out, rank);
  double first_of_b = 0;  // the singular value of B's first direction
  for (Index r = 0; r < rank; ++r) {
    // U sqrt(S) and sqrt(S) V^T: a row's length is the root of its singular value.
    const Index i = of_a[static_cast<std::size_t>(r)], j = of_b[static_cast<std::size_t>(r)];
    const double root_a = main.right.row(i).template cast<double>().norm(),
                 root_b = main.left.col(j).template cast<double>().norm();
    if (!(root_a > 0 && root_b > 0))
      throw ConfigError(message("lora_ga: the gradient has fewer than ", 2 * rank,
                                " directions, expected twice the rank"));
    if (r == 0) first_of_b = root_b * root_b;
    start.a.row(r) = (main.right.row(i).template cast<double>() / root_a).template cast<T>();
    start.b.col(r) = (main.left.col(j).template cast<double>() * root_b).template cast<T>();
  }
  double of_both = 1, of_b_alone = 1;
  if (options.scale == LoRAGAScale::stable) {
    of_b_alone = std::pow(static_cast<double>(out), 0.25) / std::sqrt(options.stable_gamma);
  } else if (options.scale == LoRAGAScale::weight_svd) {
    const LowRankFactors<T> largest = low_rank_factors<T>(weight, 1, options.svd);
    const double root = largest.left.template cast<double>().norm();
    of_b_alone = root * root / first_of_b;
  } else if (options.scale == LoRAGAScale::gd_scale) {
    of_both = 1 / scaling;
  }
  start.a *= static_cast<T>(of_both);
  start.b *= static_cast<T>(of_both * of_b_alone);
  detail::split_base<T>(weight, scaling, start, "lora_ga");
  return start;
}

}  // namespace lora
