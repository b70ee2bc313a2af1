#pragma once

#include <algorithm>

#include "lora/core/dropout_mask.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/product.hpp"
#include "lora/core/scratch.hpp"

namespace lora {

/// The products of a LoRA layer's low-rank path with dropout on its input:
/// xa = drop(x) A^T and its gradients. The masked x is never formed as a whole: tiles of it pass
/// through the cache, and backward draws the same mask again.
namespace low_rank_path {

/// Rows and columns of a tile of x. Fixed, so that sums come out the same for any thread count.
inline constexpr Index tile_rows = 64;
inline constexpr Index tile_cols = 256;
static_assert(tile_cols % DropoutMask::group == 0);

/// Computes xa = (x * mask) A^T: x (N, in), a (R, in), xa (N, R).
template <class T>
void forward(ConstMatrixRef<T> x, ConstMatrixRef<T> a, const DropoutMask& mask, MatrixRef<T> xa) {
  const Index n = x.rows(), in = x.cols();
  xa.setZero();
  const Index tasks = (n + tile_rows - 1) / tile_rows;
  const double work =
      static_cast<double>(n) * static_cast<double>(in) * static_cast<double>(a.rows());
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    const Index row = task * tile_rows;
    const Index rows = std::min(tile_rows, n - row);
    Scratch scratch;
    T* memory = scratch.take<T>(rows * std::min(tile_cols, in));
    for (Index col = 0; col < in; col += tile_cols) {
      const Index cols = std::min(tile_cols, in - col);
      MatrixRef<T> dropped(memory, rows, cols, cols);
      for (Index i = 0; i < rows; ++i) mask.fill(row + i, col, cols, memory + i * cols);
      dropped.array() *= x.block(row, col, rows, cols).array();
      add_product(xa.middleRows(row, rows), T(1), dropped, a.middleCols(col, cols).transpose());
    }
  });
}

/// Adds the gradients of the path to da and dx: da += s g^T (x * mask), dx += (s g A) * mask, for
/// g = dy B (N, R) and s the scaling. A dx without data (0, 0) is left out.
template <class T>
void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> a, ConstMatrixRef<T> g, T scaling,
              const DropoutMask& mask, MatrixRef<T> da, MatrixRef<T> dx) {
  const Index n = x.rows(), in = x.cols();
  const bool wants_dx = dx.size() > 0;
  const Index tasks = (in + tile_cols - 1) / tile_cols;
  const double work =
      static_cast<double>(n) * static_cast<double>(in) * static_cast<double>(a.rows());
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    const Index col = task * tile_cols;
    const Index cols = std::min(tile_cols, in - col);
    Scratch scratch;
    T* mask_memory = scratch.take<T>(std::min(tile_rows, n) * cols);
    T* memory = scratch.take<T>(std::min(tile_rows, n) * cols);
    for (Index row = 0; row < n; row += tile_rows) {
      const Index rows = std::min(tile_rows, n - row);
      MatrixRef<T> kept(mask_memory, rows, cols, cols);
      MatrixRef<T> tile(memory, rows, cols, cols);
      for (Index i = 0; i < rows; ++i) mask.fill(row + i, col, cols, mask_memory + i * cols);
      const auto g_rows = g.middleRows(row, rows);
      tile.array() = kept.array() * x.block(row, col, rows, cols).array();
      add_product(da.middleCols(col, cols), scaling, g_rows.transpose(), tile);
      if (!wants_dx) continue;
      tile.setZero();
      add_product(tile, scaling, g_rows, a.middleCols(col, cols));
      dx.block(row, col, rows, cols).array() += kept.array() * tile.array();
    }
  });
}

}  // namespace low_rank_path
}  // namespace lora
