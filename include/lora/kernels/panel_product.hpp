#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/packed_bands.hpp"
#include "lora/kernels/packed_left.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/simd.hpp"
#include "lora/kernels/tile.hpp"

namespace lora::kernels {

/// Says what a product's result starts from.
template <class T>
struct Start {
  bool add = true;         ///< from what is there
  const T* row = nullptr;  ///< else, from this row, the same for all; else from zero
};

/// One summand alpha * left * right of a product.
template <class T, class Right>
requires PanelSource<Right, T>
struct Term {
  PackedLeft<T> left;  // (M, K)
  Right right;         // (K, N)
  T alpha;
};

/// Cuts a result (rows, columns) into the tasks of a product: panels of columns, and bands of rows
/// where there are too few panels to share. What an element is summed from, and in which order,
/// does not depend on the cut.
template <class T>
struct PanelTasks {
  static constexpr Index width = TileShape<T>::columns;

  PanelTasks(Index row_count, Index column_count) : rows(row_count), columns(column_count) {
    const Index panels = (columns + width - 1) / width;
    // A panel is packed again for each band, which 128 rows outweigh.
    band = panels >= 8 ? rows : std::min(rows, Index{128});
    bands = band == 0 ? 0 : (rows + band - 1) / band;
    count = panels * bands;
  }

  /// Returns the first column of task `task`.
  [[nodiscard]] Index column(Index task) const { return task / bands * width; }

  /// Returns the first row of task `task`.
  [[nodiscard]] Index row(Index task) const { return task % bands * band; }

  Index rows;
  Index columns;
  Index band;  // rows a task
  Index bands;
  Index count;  // of tasks
};

/// Computes task `task` of c = start + sum of the terms, which `terms` passes one after another to
/// the function that it is called with. The first must have a depth.
template <class T, class Terms>
void panel_task_of(const PanelTasks<T>& tasks, Index task, MatrixRef<T>& c, const Start<T>& start,
                   const Terms& terms) {
  constexpr Index width = Simd<T>::width;
  const Index column = tasks.column(task);
  const Index first = tasks.row(task);
  const Index last = std::min(tasks.rows, first + tasks.band);
  const Index count = std::min(tasks.width, tasks.columns - column);
  const Index vectors = (count + width - 1) / width;
  Scratch scratch;
  T* const buffer = scratch.take<T>(depth_block * tasks.width);
  bool add = start.add;
  terms([&](const auto& term) {
    for (Index k = 0; k < term.left.depth; k += depth_block) {
      const Index deep = std::min(depth_block, term.left.depth - k);
      const auto panel =
          term.right.panel(column, count, k, deep, (last - first) / TileShape<T>::rows, buffer);
      for (Index row = first; row < last;) {
        const Index high = tile_rows<T>(last - row);
        tile_of<T>(high, vectors, term.left.tile(row, k), panel.data, panel.stride, deep,
                   {c.data() + row * c.outerStride() + column, c.outerStride(), count, term.alpha,
                    add, start.row == nullptr ? nullptr : start.row + column});
        row += high;
      }
      add = true;
    }
  });
}

/// Computes task `task` of c = start + sum of the terms.
template <class T, class... Right>
void panel_task(const PanelTasks<T>& tasks, Index task, MatrixRef<T>& c, const Start<T>& start,
                const Term<T, Right>&... terms) {
  panel_task_of(tasks, task, c, start, [&](const auto& add_term) { (add_term(terms), ...); });
}

/// Computes c (M, N) = start + sum of alpha * left * right over the terms, each tile of c staying
/// in registers for a depth block. The first term must have a depth.
template <class T, class... Right>
void panel_product(MatrixRef<T> c, const Start<T>& start, const Term<T, Right>&... terms) {
  const PanelTasks<T> tasks(c.rows(), c.cols());
  double work = 0;
  ((work += static_cast<double>(c.rows()) * static_cast<double>(c.cols()) *
            static_cast<double>(terms.left.depth)),
   ...);
  parallel_for(tasks.count, threads_for(tasks.count, work),
               [&](Index task) { panel_task(tasks, task, c, start, terms...); });
}

/// Adds alpha * left * right to c for a row-major left side.
template <class T, class Right>
requires PanelSource<Right, T>
void add_panel_product(const Strips<T>& left, const Right& right, Index depth, T alpha,
                       MatrixRef<T> c) {
  for_each_packed_band<T>(left, c.rows(), depth, [&](const PackedLeft<T>& packed, Index row) {
    panel_product<T>(c.middleRows(row, packed.rows), {}, Term<T, Right>{packed, right, alpha});
  });
}

/// Adds alpha * left * right to c for a row-major left (M, K).
template <class T, class Right>
requires PanelSource<Right, T>
void add_panel_product(ConstMatrixRef<T> left, const Right& right, T alpha, MatrixRef<T> c) {
  add_panel_product<T>(Strips<T>{left.data(), left.outerStride(), 1}, right, left.cols(), alpha, c);
}

}  // namespace lora::kernels
