#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/dot_tile.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/product.hpp"
#include "lora/random/dropout_mask.hpp"

namespace lora {

/// The products of a LoRA layer's low-rank path: few columns, so each is one pass over its large
/// operand, and what counts is to read that once and where it lies.
///
/// With dropout the masked x is never formed as a whole: tiles of it pass through the cache, and
/// backward draws the same mask again.
namespace low_rank_path {

/// Rows and columns of a tile of x. Fixed, so that sums come out the same for any thread count.
inline constexpr Index tile_rows = 64;
inline constexpr Index tile_cols = 256;
static_assert(tile_cols % DropoutMask::group == 0);

/// Calls work(first, last) for bands of `rows` rows, in parallel if `cost` multiply-adds are worth
/// sharing.
template <class Work>
void for_each_band(Index rows, double cost, const Work& work) {
  // Small enough to share what a few dozen tokens need; a whole number of the kernels' tiles.
  constexpr Index step = 16;
  const Index tasks = (rows + step - 1) / step;
  parallel_for(tasks, threads_for(tasks, cost),
               [&](Index task) { work(task * step, std::min(rows, (task + 1) * step)); });
}

/// Returns the multiply-adds of a product (rows, depth) x (depth, columns).
[[nodiscard]] inline double cost_of(Index rows, Index depth, Index columns) {
  return static_cast<double>(rows) * static_cast<double>(depth) * static_cast<double>(columns);
}

/// One path into rank dimensions: xa = drop(x) A^T.
template <class T>
struct Input {
  ConstMatrixRef<T> a;              // (R, in)
  MatrixRef<T> xa;                  // (N, R)
  std::optional<DropoutMask> mask;  // of x, if any
};

namespace detail {

inline constexpr auto multiply = []<class P>(const P& a, const P& b) -> P {
  return Eigen::internal::pmul(a, b);
};

// Computes rows [first, last) of input.xa.
template <class T>
void input_rows(ConstMatrixRef<T> x, const Input<T>& input, Index first, Index last) {
  const Index rows = last - first, in = x.cols();
  MatrixRef<T> all = input.xa;
  MatrixRef<T> xa = all.middleRows(first, rows);
  xa.setZero();
  if (!input.mask)
    return kernels::add_dot_products<T>(x.middleRows(first, rows), input.a, T(1),
                                        {xa.data(), xa.outerStride(), 1}, 0, rows);
  Scratch scratch;
  T* const memory = scratch.take<T>(rows * std::min(tile_cols, in));
  for (Index col = 0; col < in; col += tile_cols) {
    const Index cols = std::min(tile_cols, in - col);
    MatrixRef<T> dropped(memory, rows, cols, cols);
    for (Index i = 0; i < rows; ++i) input.mask->fill(first + i, col, cols, memory + i * cols);
    dropped.array() *= x.block(first, col, rows, cols).array();
    kernels::add_dot_products<T>(dropped, input.a.middleCols(col, cols), T(1),
                                 {xa.data(), xa.outerStride(), 1}, 0, rows);
  }
}

}  // namespace detail

/// Computes xa = drop(x) A^T for every path that begins at x (N, in), in one pass over x.
template <class T>
void forward(ConstMatrixRef<T> x, std::span<const Input<T>> inputs) {
  Index rank = 0;
  for (const Input<T>& input : inputs) rank += input.a.rows();
  if (rank == 0) return;
  for_each_band(x.rows(), cost_of(x.rows(), x.cols(), rank), [&](Index first, Index last) {
    for (const Input<T>& input : inputs) detail::input_rows(x, input, first, last);
  });
}

/// Computes g = dy B: dy (N, out), b (out, R), g (N, R).
template <class T>
void gradient_of_xa(ConstMatrixRef<T> dy, ConstMatrixRef<T> b, MatrixRef<T> g) {
  Scratch scratch;
  // The kernel wants rows as long as those of dy.
  MatrixRef<T> bt = scratch.matrix<T>(b.cols(), b.rows());
  kernels::pack_strips<T>({b.data(), b.outerStride(), 1}, b.rows(), b.rows(), b.cols(), bt.data());
  const Input<T> input{bt, g, {}};
  forward<T>(dy, std::span(&input, 1));
}

/// Adds the gradients of the masked path to da and dx: da += s g^T (x * mask),
/// dx += (s g A) * mask, for g = dy B (N, R). A da or dx without data (0, 0) is left out; without a
/// da, x is not read.
template <class T>
void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> a, ConstMatrixRef<T> g, T scaling,
              const DropoutMask& mask, MatrixRef<T> da, MatrixRef<T> dx) {
  const Index n = g.rows(), in = a.cols();
  const bool wants_da = da.size() > 0, wants_dx = dx.size() > 0;
  const Index tasks = (in + tile_cols - 1) / tile_cols;
  parallel_for(tasks, threads_for(tasks, cost_of(n, in, a.rows())), [&](Index task) {
    const Index col = task * tile_cols;
    const Index cols = std::min(tile_cols, in - col);
    Scratch scratch;
    T* mask_memory = scratch.take<T>(std::min(tile_rows, n) * cols);
    T* memory = scratch.take<T>(std::min(tile_rows, n) * cols);
    for (Index row = 0; row < n; row += tile_rows) {
      const Index rows = std::min(tile_rows, n - row);
      MatrixRef<T> tile(memory, rows, cols, cols);
      for (Index i = 0; i < rows; ++i) {
        mask.fill(row + i, col, cols, mask_memory + i * cols);
        if (!wants_da) continue;
        packets::transform(cols, memory + i * cols, detail::multiply, mask_memory + i * cols,
                           x.data() + (row + i) * x.outerStride() + col);
      }
      const auto g_rows = g.middleRows(row, rows);
      if (wants_da) add_product(da.middleCols(col, cols), scaling, g_rows.transpose(), tile);
      if (!wants_dx) continue;
      tile.setZero();
      add_product(tile, scaling, g_rows, a.middleCols(col, cols));
      for (Index i = 0; i < rows; ++i) {
        T* const to = dx.data() + (row + i) * dx.outerStride() + col;
        packets::transform(
            cols, to,
            [](const Packet<T>& kept, const Packet<T>& part, const Packet<T>& sum) {
              return Eigen::internal::pmadd(kept, part, sum);
            },
            mask_memory + i * cols, memory + i * cols, static_cast<const T*>(to));
      }
    }
  });
}

}  // namespace low_rank_path
}  // namespace lora
