#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/epilogue.hpp"
#include "lora/kernels/packed_bands.hpp"
#include "lora/kernels/packed_left.hpp"
#include "lora/kernels/panel_tasks.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/tile.hpp"

namespace lora::kernels {

/// The start of a product's result.
template <class T>
struct Start {
  bool add = true;         ///< from what is there
  const T* row = nullptr;  ///< else, from this row, the same for all; else from zero
};

/// A product of two sides, alpha left right diag(column_scale).
template <class T, class Right>
requires PanelSource<Right, T>
struct Product {
  PackedLeft<T> left;  // (M, K)
  Right right;         // (K, N)
  T alpha = T(1);
  const T* column_scale = nullptr;  ///< (N), beside the right side's own; null: ones
};

/// A second product whose sums join those of the first in the registers: left (M, R), whatever
/// factor it has included, times right (R, N), of low rank R. R may be 0.
template <class T>
struct LowRankProduct {
  PackedLeft<T> left = {nullptr, 0, 0};
  MatrixPanels<T> right = {{nullptr, 1, 1}};
};

namespace detail {

// Writes alpha * scale, of `count` columns from `column` on, to `row`, whole packets.
template <class T, class Right>
void fill_scale(const Product<T, Right>& product, Index column, Index count, T* row) {
  std::fill(row, row + round_up(count, Simd<T>::width), product.alpha);
  const auto multiply = [&](const T* factors) {
    if (factors == nullptr) return;
    for (Index j = 0; j < count; ++j) row[j] *= factors[column + j];
  };
  multiply(product.column_scale);
  if constexpr (ScaledPanelSource<Right, T>) multiply(product.right.column_scale());
}

}  // namespace detail

/// Computes task `task` of panel_product.
template <class T, class Right>
void panel_task(const PanelTasks<T>& tasks, Index task, MatrixRef<T>& c, const Start<T>& start,
                const Product<T, Right>& product, const LowRankProduct<T>& low_rank = {}) {
  const Index column = tasks.column(task);
  const Index first = tasks.row(task);
  const Index last = std::min(tasks.rows, first + tasks.band);
  const Index columns = std::min(tasks.width, tasks.columns - column);
  Scratch scratch;
  T* const scale = scratch.take<T>(tasks.width);
  T* const buffer = scratch.take<T>(depth_block * tasks.width);
  T* const low_rank_buffer =
      scratch.take<T>(std::min(depth_block, low_rank.left.depth) * tasks.width);
  const T* row_start = start.row == nullptr ? nullptr : start.row + column;
  if (!start.add && start.row == nullptr) {
    T* const zeros = scratch.take<T>(tasks.width);
    std::fill_n(zeros, tasks.width, T(0));
    row_start = zeros;
  }
  bool add = start.add;
  const Index readings = (last - first) / TileShape<T>::rows;
  const auto panel_of = [&](const auto& right, Index k, Index depth, T* memory) {
    return right.panel({column, columns, k, depth, readings}, memory);
  };
  // One depth block of `left` times its panel, and of the low-rank product if that has a panel.
  const auto add_block = [&](const PackedLeft<T>& left, Index k, const Panel<T>& panel,
                             const Panel<T>* low_rank_panel, const Ahead<T>& ahead = {}) {
    Index tile = 0;
    for (Index row = first; row < last; ++tile) {
      const Index high = tile_rows<T>(last - row);
      T* const at = c.data() + row * c.outerStride() + column;
      Epilogue<T> epilogue{at,    c.outerStride(),      columns,
                           scale, add ? at : row_start, add ? c.outerStride() : 0};
      if (low_rank_panel != nullptr)
        epilogue.low_rank = {low_rank.left.tile(row, 0), low_rank_panel->data,
                             low_rank_panel->stride, std::min(depth_block, low_rank.left.depth)};
      tile_of<T>(high,
                 {left.tile(row, k), panel.data, panel.stride,
                  std::min(depth_block, left.depth - k), ahead.share(tile)},
                 epilogue);
      row += high;
    }
    add = true;
  };

  detail::fill_scale(product, column, columns, scale);
  const Index depth = product.left.depth, rank = low_rank.left.depth;
  // What comes after the panel at k: the next depth block, or the next task's first.
  const auto ahead_of = [&](Index k) -> Ahead<T> {
    if constexpr (ForeseenPanelSource<Right, T>) {
      const bool same_task = k + depth_block < depth;
      if (!same_task && task + 1 == tasks.count) return {};
      const Index next_column = same_task ? column : tasks.column(task + 1);
      const Index next_k = same_task ? k + depth_block : 0;
      return product.right.ahead({next_column, std::min(tasks.width, tasks.columns - next_column),
                                  next_k, std::min(depth_block, depth - next_k), readings});
    } else {
      return {};
    }
  };
  for (Index k = 0; k < depth; k += depth_block) {
    const auto panel = panel_of(product.right, k, std::min(depth_block, depth - k), buffer);
    if (k + depth_block < depth || rank == 0) {
      add_block(product.left, k, panel, nullptr, ahead_of(k));
    } else {
      const auto low_rank_panel =
          panel_of(low_rank.right, 0, std::min(depth_block, rank), low_rank_buffer);
      add_block(product.left, k, panel, &low_rank_panel, ahead_of(k));
    }
  }
  // What a rank beyond a depth block leaves.
  if (rank > depth_block) std::fill_n(scale, tasks.width, T(1));
  for (Index k = depth_block; k < rank; k += depth_block)
    add_block(low_rank.left, k,
              panel_of(low_rank.right, k, std::min(depth_block, rank - k), buffer), nullptr);
}

/// Computes c (M, N) = start + product + low_rank, each tile of c staying in registers for a depth
/// block. The product must have a depth.
template <class T, class Right>
void panel_product(MatrixRef<T> c, const Start<T>& start, const Product<T, Right>& product,
                   const LowRankProduct<T>& low_rank = {}) {
  const PanelTasks<T> tasks(c.rows(), c.cols());
  const double work = static_cast<double>(c.rows()) * static_cast<double>(c.cols()) *
                      static_cast<double>(product.left.depth + low_rank.left.depth);
  parallel_for(tasks.count, threads_for(tasks.count, work),
               [&](Index task) { panel_task(tasks, task, c, start, product, low_rank); });
}

/// Adds alpha * left * right to c.
template <class T, class Source, class Right>
requires(LeftSource<Source, T>&& PanelSource<Right, T>) void add_panel_product(const Source& left,
                                                                               const Right& right,
                                                                               T alpha,
                                                                               MatrixRef<T> c) {
  for_each_packed_band<T>(left, [&](const PackedLeft<T>& packed, Index row) {
    panel_product<T>(c.middleRows(row, packed.rows), {}, Product<T, Right>{packed, right, alpha});
  });
}

/// Adds alpha * left * right to c for a row-major left (M, K).
template <class T, class Right>
requires PanelSource<Right, T>
void add_panel_product(ConstMatrixRef<T> left, const Right& right, T alpha, MatrixRef<T> c) {
  add_panel_product<T>(MatrixRows<T>(left), right, alpha, c);
}

}  // namespace lora::kernels
