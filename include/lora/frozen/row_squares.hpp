#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora {
namespace detail {

// Computes the sums of the squares of some columns, at most a panel of them.
template <class T, class Right>
void column_squares(const Right& right, Index depth, Index column, Index count, double* sums) {
  Scratch scratch;
  T* const buffer = scratch.take<T>(kernels::depth_block * kernels::TileShape<T>::columns);
  std::fill_n(sums, count, 0.0);
  for (Index k = 0; k < depth; k += kernels::depth_block) {
    const Index deep = std::min(kernels::depth_block, depth - k);
    const kernels::Panel<T> panel = right.panel({column, count, k, deep, 1}, buffer);
    for (Index i = 0; i < deep; ++i)
      for (Index j = 0; j < count; ++j) {
        const auto element = static_cast<double>(panel.data[i * panel.stride + j]);
        sums[j] += element * element;
      }
  }
  if constexpr (kernels::ScaledPanelSource<Right, T>)
    for (Index j = 0; j < count; ++j) {
      const auto scale = static_cast<double>(right.column_scale()[column + j]);
      sums[j] *= scale * scale;
    }
}

}  // namespace detail

/// Computes the sum of the squares of each row of `weight` (out, in), `out` numbers, and reads it
/// once. A storage that gives panels is read panel by panel; of others a dense copy is made. The
/// same bits for any number of threads.
template <class T, class Frozen>
requires FrozenWeight<Frozen, T>
void row_squares(const Frozen& weight, double* squares) {
  const Index out = weight.out_features(), in = weight.in_features();
  if constexpr (PanelWeight<Frozen, T>) {
    constexpr Index width = kernels::TileShape<T>::columns;
    const Index tasks = (out + width - 1) / width;
    const double work = 8 * static_cast<double>(out) * static_cast<double>(in);
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const Index column = task * width;
      detail::column_squares<T>(weight.panels(), in, column, std::min(width, out - column),
                                squares + column);
    });
  } else {
    const Matrix<T> dense = weight.dense();
    for (Index o = 0; o < out; ++o) squares[o] = dense.row(o).template cast<double>().squaredNorm();
  }
}

/// Copies row `output` of `weight` to `to`, `in` numbers: from a dense copy of all of it where the
/// storage cannot read a row.
template <class T, class Frozen>
requires FrozenWeight<Frozen, T>
void copy_row_of(const Frozen& weight, Index output, T* to) {
  if constexpr (RowReadableWeight<Frozen, T>)
    weight.copy_row(output, to);
  else
    MatrixRef<T>(to, 1, weight.in_features(), weight.in_features()) = weight.dense().row(output);
}

}  // namespace lora
