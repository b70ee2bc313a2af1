#pragma once

#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/layers/lora_adapter.hpp"
#include "lora/layers/lora_config.hpp"

namespace lora {

/// Several adapters of one layer as one, whose update is their weighted sum and whose rank is that
/// of all together (PEFT's combination "cat"), `Adapter` being of a linear layer or of an
/// embedding:
///
///     A = [A_1; A_2; ...],  B = [w_1 B_1, w_2 B_2, ...],  scaling 1,  B A = sum of w_i B_i A_i
///
/// Beside a convolution in groups each group's rows of A are stacked so.
template <class T, class Adapter = LoRAAdapter<T>>
class StackedAdapter {
 public:
  /// Adds an adapter whose update B A is multiplied by `weight`, without its own scaling. Throws
  /// ShapeError unless it is of the same (out, in) and groups as those before, and ConfigError for
  /// use_dora and lora_bias, which are no sums of B A.
  void add(const Adapter& adapter, double weight) {
    const auto &a = adapter.a().value, &b = adapter.b().value;
    if (adapter.config().use_dora || adapter.config().lora_bias)
      throw ConfigError(message("StackedAdapter::add: the adapter has ",
                                adapter.config().use_dora ? "use_dora" : "lora_bias",
                                ", which a stack cannot hold"));
    if (!empty()) {
      require_cols(a, a_.cols(), "StackedAdapter::add", "A", "in_features");
      require_shape(b, b_.rows(), adapter.rank() / groups_, "StackedAdapter::add", "B",
                    "out_features", groups_ == 1 ? "rank" : "rank / groups");
    }
    if constexpr (has_groups) groups_ = adapter.groups();
    const Index before = a_.rows() / groups_, rank = b.cols(), each = before + rank;
    Matrix<T> all_a(groups_ * each, a.cols()), all_b(b.rows(), each);
    for (Index g = 0; g < groups_; ++g) {
      if (!empty()) all_a.middleRows(g * each, before) = a_.middleRows(g * before, before);
      all_a.middleRows(g * each + before, rank) = a.middleRows(g * rank, rank);
    }
    if (!empty()) all_b.leftCols(before) = b_;
    all_b.rightCols(rank) = static_cast<T>(weight) * b;
    a_ = std::move(all_a);
    b_ = std::move(all_b);
  }

  [[nodiscard]] bool empty() const { return a_.rows() == 0; }

  /// Returns the one adapter, without dropout. Throws ConfigError if there is none.
  [[nodiscard]] Adapter adapter() && {
    const Index rank = a_.rows();
    const LoRAConfig config{.rank = rank, .alpha = static_cast<double>(rank)};
    if constexpr (has_groups)
      return Adapter(config, std::move(a_), std::move(b_), 0, groups_);
    else
      return Adapter(config, std::move(a_), std::move(b_));
  }

 private:
  static constexpr bool has_groups = requires(const Adapter& adapter) { adapter.groups(); };

  Matrix<T> a_;  // (R, in)
  Matrix<T> b_;  // (out, R / groups)
  Index groups_ = 1;
};

}  // namespace lora
