#pragma once

#include <Eigen/LU>
#include <cmath>
#include <utility>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/thin_svd.hpp"
#include "lora/core/thread_limit.hpp"
#include "lora/init/low_rank_factors.hpp"
#include "lora/init/split_start.hpp"
#include "lora/kernels/product.hpp"

namespace lora {

/// Which of W's directions CorDA gives to the adapter.
enum class CordaMethod {
  ipm,  ///< those that matter most for the samples, which are of the task: "instruction previewed"
  kpm,  ///< those that matter least, so that what the samples need stays: "knowledge preserved"
};

/// The covariance of a layer's inputs over samples, for CorDA:
///
///     C = mean over samples of X^T X,    X divided by the absolute value of its largest number
///
/// It takes the memory of a matrix (in, in). Not for several threads at once.
template <class T>
class CordaCovariance {
 public:
  /// Begins for inputs of `in` features.
  explicit CordaCovariance(Index in) : sum_(Matrix<T>::Zero(in, in)) {}

  /// Adds one sample's inputs x (N, in). Throws ShapeError, and ConfigError for numbers that are
  /// not finite or whose largest is 0; then nothing has changed.
  void add(ConstMatrixRef<T> x) {
    require_cols(x, sum_.cols(), "CordaCovariance::add", "x", "in_features");
    if (!all_finite<T>(x))
      throw ConfigError("CordaCovariance::add: x has a number that is not finite");
    const T most = x.size() == 0 ? T(0) : x.maxCoeff();
    if (most == 0) throw ConfigError("CordaCovariance::add: the largest number of x is 0");
    const Matrix<T> scaled = x / std::abs(most);
    if (!all_finite<T>(scaled))
      throw ConfigError(message("CordaCovariance::add: the largest number of x is ", most,
                                ", too small to divide by"));
    add_product(sum_, T(1), scaled.transpose(), scaled);
    ++samples_;
  }

  /// Returns the number of samples.
  [[nodiscard]] Index samples() const { return samples_; }

  /// Returns C (in, in). Throws StateError without samples.
  [[nodiscard]] Matrix<T> mean() const {
    if (samples_ == 0) throw StateError("CordaCovariance::mean: no samples were added");
    return sum_ / static_cast<T>(samples_);
  }

 private:
  Matrix<T> sum_;
  Index samples_ = 0;
};

/// Starts with W's directions that some inputs need most or least (Yang et al., "CorDA", 2024,
/// arXiv 2406.05223; PEFT 0.21's init_lora_weights="corda"). With C the `covariance` (in, in) of
/// the inputs, damped by 0.01 of the mean of its diagonal, or more where its inverse is not exact
/// to 0.05 then,
///
///     W C = U S V^T,    B = U sqrt(S / s),    A = sqrt(S / s) V^T C^-1,    base = W - s B A
///
/// of the `rank` first triples (ipm) or last ones (kpm); s is `scaling`. The decomposition is the
/// whole one; for ipm `options` may ask for the search. The same bits for any number of threads.
/// Throws ConfigError for a rank that is not from 1 to min(out, in), options out of range, a
/// scaling that is 0 or not finite, a number of W or C that is not finite, and a C whose diagonal
/// has no positive mean or that cannot be inverted; ShapeError for a C of another shape.
template <class T>
[[nodiscard]] SplitStart<T> corda(ConstMatrixRef<T> weight, Index rank, double scaling,
                                  std::type_identity_t<ConstMatrixRef<T>> covariance,
                                  CordaMethod method = CordaMethod::ipm,
                                  const SvdOptions& options = {.exact = true}) {
  require_scaling(scaling, "corda");
  validate(options, "corda");
  require_decomposable<T>(weight, rank, "corda");
  const Index in = weight.cols();
  require_shape(covariance, in, in, "corda", "covariance", "in_features", "in_features");
  const Eigen::MatrixXd c = covariance.template cast<double>();
  const double mean = c.diagonal().mean();
  if (!all_finite<T>(covariance) || !is_finite(mean) || mean <= 0)
    throw ConfigError(
        "corda: covariance has numbers that are not finite or a diagonal that is not positive");
  // Eigen's own products depend on the number of threads, so they have one.
  const ThreadLimit limit(1);
  Eigen::MatrixXd damped, inverse;
  for (double damp = 0.01;; damp *= 2) {
    damped = c;
    damped.diagonal().array() += damp * mean;
    inverse = damped.partialPivLu().inverse();
    const double error = (damped * inverse - Eigen::MatrixXd::Identity(in, in)).norm();
    if (error < 0.05) break;
    if (!is_finite(damp * mean) || damp > 1e30)
      throw ConfigError("corda: the covariance has no inverse, however much it is damped");
  }
  const Eigen::MatrixXd product = weight.template cast<double>() * damped;
  LowRankFactors<T> factors;
  Eigen::MatrixXd right;  // sqrt(S) V^T
  if (method == CordaMethod::ipm && !options.exact) {
    factors = low_rank_factors<T>(Matrix<T>(product.template cast<T>()), rank, options);
    right = factors.right.template cast<double>();
  } else {
    const auto svd = thin_bdc_svd(product);
    const Index first = method == CordaMethod::ipm ? 0 : svd.singularValues().size() - rank;
    const Eigen::VectorXd root = svd.singularValues().segment(first, rank).cwiseSqrt();
    factors.left = (svd.matrixU().middleCols(first, rank) * root.asDiagonal()).template cast<T>();
    right = root.asDiagonal() * svd.matrixV().middleCols(first, rank).transpose();
  }
  factors.right = (right * inverse).template cast<T>();
  SplitStart<T> start;
  detail::take_factors(std::move(factors), scaling, start, "corda");
  detail::split_base<T>(weight, scaling, start, "corda");
  return start;
}

}  // namespace lora
