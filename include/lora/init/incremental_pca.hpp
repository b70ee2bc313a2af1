#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/init/low_rank_factors.hpp"

namespace lora {

/// The main directions of rows that come batch by batch, without keeping the rows (Ross et al.,
/// "Incremental learning for robust visual tracking", 2008; PEFT 0.21's and scikit-learn's
/// IncrementalPCA). A batch X (n, in) of mean m is decomposed together with what was found before:
///
///     [S V; X - m; sqrt(n seen / (seen + n)) (mean - m)] = U' S' V'^T
///
/// where `seen` rows came before, with the mean `mean`, and S V is what was found in them. The main
/// directions of the result are kept. It takes the memory of `components` rows, and of one batch
/// while that is added. Not for several threads at once.
template <class T>
class IncrementalPca {
 public:
  /// Looks for `components` directions of rows of `features` numbers. Throws ConfigError unless
  /// 1 <= components <= features, and for options out of range.
  IncrementalPca(Index components, Index features, const SvdOptions& options = {})
      : wanted_(components), options_(options), mean_(Eigen::RowVectorXd::Zero(features)) {
    if (components < 1 || components > features)
      throw ConfigError(message("IncrementalPca: components is ", components,
                                ", expected 1 to features = ", features));
    validate(options, "IncrementalPca");
  }

  /// Takes the rows of x (n, features) in. Throws ShapeError, and ConfigError for a number that is
  /// not finite; then nothing has changed. Any n will do; PEFT skips batches of fewer rows than
  /// components.
  void add(ConstMatrixRef<T> x) {
    require_cols(x, mean_.cols(), "IncrementalPca::add", "x", "features");
    if (!all_finite<T>(x))
      throw ConfigError("IncrementalPca::add: x has a number that is not finite");
    if (x.rows() == 0) return;
    const auto n = static_cast<double>(x.rows()), seen = static_cast<double>(samples_);
    const Index kept = components_.rows();
    Eigen::RowVectorXd batch_mean = Eigen::RowVectorXd::Zero(x.cols());
    for (Index i = 0; i < x.rows(); ++i) batch_mean += x.row(i).template cast<double>();
    batch_mean /= n;
    Matrix<T> stacked(kept + x.rows() + (kept > 0 ? 1 : 0), x.cols());
    for (Index i = 0; i < kept; ++i)
      stacked.row(i) = static_cast<T>(singular_values_(i)) * components_.row(i);
    double deviations = 0;
    for (Index i = 0; i < x.rows(); ++i) {
      const Eigen::RowVectorXd row = x.row(i).template cast<double>() - batch_mean;
      deviations += row.squaredNorm();
      stacked.row(kept + i) = row.template cast<T>();
    }
    const Eigen::RowVectorXd between = mean_ - batch_mean;
    if (kept > 0)
      stacked.row(stacked.rows() - 1) =
          (std::sqrt(seen / (seen + n) * n) * between).template cast<T>();

    const Index count = std::min({wanted_, stacked.rows(), stacked.cols()});
    // sqrt(S) V^T, so a row's length is the root of its singular value.
    Matrix<T> found = low_rank_factors<T>(stacked, count, options_).right;
    Eigen::VectorXd values(count), similar = Eigen::VectorXd::Zero(count);
    for (Index i = 0; i < count; ++i) {
      const double root = found.row(i).template cast<double>().norm();
      values(i) = root * root;
      if (root > 0) found.row(i) = (found.row(i).template cast<double>() / root).template cast<T>();
      Index largest = 0;  // whose sign is made positive
      found.row(i).cwiseAbs().maxCoeff(&largest);
      if (found(i, largest) < 0) found.row(i) = -found.row(i);
      if (i < kept) similar(i) = static_cast<double>(found.row(i).dot(components_.row(i)));
    }
    deviations_ += deviations + seen * n / (seen + n) * between.squaredNorm();
    mean_ = (seen * mean_ + n * batch_mean) / (seen + n);
    samples_ += x.rows();
    components_ = std::move(found);
    singular_values_ = std::move(values);
    similarity_ = std::move(similar);
  }

  /// Returns the number of rows so far.
  [[nodiscard]] Index samples() const { return samples_; }

  /// Returns the directions as rows of length 1, the main one first: (components, features), with
  /// fewer rows while too few were added.
  [[nodiscard]] const Matrix<T>& components() const { return components_; }

  /// Returns the singular value of each direction.
  [[nodiscard]] const Eigen::VectorXd& singular_values() const { return singular_values_; }

  /// Returns the share of each direction in the variance of all rows: S^2 over the sum of squared
  /// distances from the mean.
  [[nodiscard]] Eigen::VectorXd explained_variance_ratio() const {
    if (deviations_ <= 0) return Eigen::VectorXd::Zero(singular_values_.size());
    return singular_values_.cwiseAbs2() / deviations_;
  }

  /// Returns the cosine between each direction and what it was before the last batch; 0 for those
  /// that were not there.
  [[nodiscard]] const Eigen::VectorXd& similarity() const { return similarity_; }

 private:
  Index wanted_;
  SvdOptions options_;
  Index samples_ = 0;
  double deviations_ = 0;  // sum of squared distances from the mean
  Eigen::RowVectorXd mean_;
  Matrix<T> components_;
  Eigen::VectorXd singular_values_;
  Eigen::VectorXd similarity_;
};

}  // namespace lora
