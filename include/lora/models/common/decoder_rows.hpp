#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "lora/core/elementwise.hpp"
#include "lora/core/scratch.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/nn/sequences.hpp"

namespace lora::models {

/// The rows of a batch that a decoder's block computes: N tokens are its keys, Q of them its
/// queries. Where a loss looks at some tokens alone, the last block need not compute the others.
/// Views everything, which must outlive it.
template <class T>
struct DecoderRows {
  const Sequences* keys = nullptr;
  const Sequences* queries = nullptr;             ///< the same where all rows are computed
  std::span<const Index> chosen = {};             ///< else, the queries' rows among the keys
  ConstMatrixRef<T> angles = {nullptr, 0, 0, 0};  ///< (N, D) of rotary positions, if there are
  ConstMatrixRef<T> query_angles = {nullptr, 0, 0, 0};  ///< (Q, D), likewise
  const AdapterRoutes* routes = nullptr;                ///< of all rows, in a mixed batch
  const AdapterRoutes* query_routes = nullptr;          ///< of the queries'

  /// Tells whether every token is computed: Q = N.
  [[nodiscard]] bool all() const { return queries == keys; }

  /// Returns Q.
  [[nodiscard]] Index count() const { return queries->rows(); }

  /// Copies the queries' rows of x (N, M) to y (Q, M).
  void take(ConstMatrixRef<T> x, MatrixRef<T> y) const {
    for (std::size_t i = 0; i < chosen.size(); ++i)
      std::copy_n(x.data() + chosen[i] * x.outerStride(), x.cols(),
                  y.data() + static_cast<Index>(i) * y.outerStride());
  }

  /// Returns the queries' rows of x (N, M): x itself where all are computed, else a copy, memory of
  /// `scratch`.
  [[nodiscard]] ConstMatrixRef<T> taken(const ConstMatrixRef<T>& x, Scratch& scratch) const {
    if (all()) return x;
    const MatrixRef<T> some = scratch.matrix<T>(count(), x.cols());
    take(x, some);
    return some;
  }

  /// Adds y (Q, M) to the queries' rows of x (N, M).
  void add(ConstMatrixRef<T> y, MatrixRef<T> x) const {
    if (all()) return add_to<T>(y, x);
    for (std::size_t i = 0; i < chosen.size(); ++i)
      x.row(chosen[i]) += y.row(static_cast<Index>(i));
  }
};

}  // namespace lora::models
