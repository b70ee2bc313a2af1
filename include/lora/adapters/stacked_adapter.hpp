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
template <class T, class Adapter = LoRAAdapter<T>>
class StackedAdapter {
 public:
  /// Adds an adapter whose update B A is multiplied by `weight`, without its own scaling. Throws
  /// ShapeError unless it is of the same (out, in) as those before.
  void add(const Adapter& adapter, double weight) {
    const auto &a = adapter.a().value, &b = adapter.b().value;
    if (!empty()) {
      require_cols(a, a_.cols(), "StackedAdapter::add", "A", "in_features");
      require_shape(b, b_.rows(), adapter.rank(), "StackedAdapter::add", "B", "out_features",
                    "rank");
    }
    const Index before = a_.rows(), rank = adapter.rank();
    Matrix<T> all_a(before + rank, a.cols()), all_b(b.rows(), before + rank);
    if (!empty()) {
      all_a.topRows(before) = a_;
      all_b.leftCols(before) = b_;
    }
    all_a.bottomRows(rank) = a;
    all_b.rightCols(rank) = static_cast<T>(weight) * b;
    a_ = std::move(all_a);
    b_ = std::move(all_b);
  }

  [[nodiscard]] bool empty() const { return a_.rows() == 0; }

  /// Returns the one adapter, without dropout. Throws ConfigError if there is none.
  [[nodiscard]] Adapter adapter() && {
    const Index rank = a_.rows();
    return Adapter({.rank = rank, .alpha = static_cast<double>(rank)}, std::move(a_),
                   std::move(b_));
  }

 private:
  Matrix<T> a_;  // (R, in)
  Matrix<T> b_;  // (out, R)
};

}  // namespace lora
