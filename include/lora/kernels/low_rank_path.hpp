#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/dot_tile.hpp"
#include "lora/kernels/panel_product.hpp"
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
  bt = b.transpose();
  const Input<T> input{bt, g, {}};
  forward<T>(dy, std::span(&input, 1));
}

/// What the gradients of one path's factors are made of and where they go:
/// da += s g^T x (left out if da has no columns) and db += s dy^T xa.
template <class T>
struct Gradients {
  ConstMatrixRef<T> g;   // (N, R), dy B
  ConstMatrixRef<T> dy;  // (N, out)
  ConstMatrixRef<T> xa;  // (N, R)
  T s;
  MatrixRef<T> da;  // (R, in)
  MatrixRef<T> db;  // (out, R)
};

/// The most paths that one layer has.
inline constexpr std::size_t most_paths = 8;

namespace detail {

// Computes the panel of c = start + term that begins with `column`.
template <class T>
void add_panel(const kernels::Term<T, kernels::MatrixPanels<T>>& term, Index column,
               const kernels::Start<T>& start, MatrixRef<T> c) {
  const kernels::PanelTasks<T> tasks(c.rows(), c.cols());
  const Index first = column / tasks.width * tasks.bands;
  for (Index task = first; task < first + tasks.bands; ++task)
    kernels::panel_task(tasks, task, c, start, term);
}

}  // namespace detail

/// Adds the gradients of the factors of every path that begins at x (N, in), in one pass over x
/// and one over each dy.
template <class T>
void add_gradients(ConstMatrixRef<T> x, std::span<const Gradients<T>> paths) {
  using Term = kernels::Term<T, kernels::MatrixPanels<T>>;
  struct Path {
    std::optional<Term> a, b;
    std::optional<MatrixRef<T>> db_transposed;
  };
  if (x.rows() == 0) return;
  Scratch scratch;
  const auto packed_transpose = [&](const ConstMatrixRef<T>& matrix) {
    T* const memory = scratch.take<T>(kernels::packed_left_size(matrix.cols(), matrix.rows()));
    return kernels::pack_left<T>({matrix.data(), 1, matrix.outerStride()}, matrix.cols(),
                                 matrix.rows(), memory);
  };
  std::array<Path, most_paths> work;
  double cost = 0;
  Index tasks = kernels::PanelTasks<T>(1, x.cols()).count;
  for (std::size_t p = 0; p < paths.size(); ++p) {
    const Gradients<T>& path = paths[p];
    if (path.da.cols() > 0)
      work[p].a = Term{packed_transpose(path.g), {{x.data(), 1, x.outerStride()}}, path.s};
    work[p].b =
        Term{packed_transpose(path.xa), {{path.dy.data(), 1, path.dy.outerStride()}}, path.s};
    work[p].db_transposed.emplace(scratch.matrix<T>(path.xa.cols(), path.dy.cols()));
    cost += cost_of(x.rows(), path.da.cols() + path.dy.cols(), path.xa.cols());
    tasks += kernels::PanelTasks<T>(1, path.dy.cols()).count;
  }
  parallel_for(tasks, threads_for(tasks, cost), [&](Index task) {
    // First the panels of x, each for all paths while it is in the cache; then those of each dy.
    const kernels::PanelTasks<T> x_panels(1, x.cols());
    if (task < x_panels.count) {
      for (std::size_t p = 0; p < paths.size(); ++p)
        if (work[p].a) detail::add_panel<T>(*work[p].a, x_panels.column(task), {}, paths[p].da);
      return;
    }
    task -= x_panels.count;
    for (std::size_t p = 0; p < paths.size(); ++p) {
      const kernels::PanelTasks<T> dy_panels(1, paths[p].dy.cols());
      if (task >= dy_panels.count) {
        task -= dy_panels.count;
        continue;
      }
      const Index column = dy_panels.column(task);
      const Index columns = std::min(dy_panels.width, paths[p].dy.cols() - column);
      const MatrixRef<T>& transposed = *work[p].db_transposed;
      detail::add_panel<T>(*work[p].b, column, {false, nullptr}, transposed);
      MatrixRef<T> db = paths[p].db;
      db.middleRows(column, columns) += transposed.middleCols(column, columns).transpose();
      return;
    }
  });
}

/// Adds the gradients of the masked path to da and dx: da += s g^T (x * mask),
/// dx += (s g A) * mask, for g = dy B (N, R). A dx without data (0, 0) is left out.
template <class T>
void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> a, ConstMatrixRef<T> g, T scaling,
              const DropoutMask& mask, MatrixRef<T> da, MatrixRef<T> dx) {
  const Index n = x.rows(), in = x.cols();
  const bool wants_dx = dx.size() > 0;
  const Index tasks = (in + tile_cols - 1) / tile_cols;
  parallel_for(tasks, threads_for(tasks, cost_of(n, in, a.rows())), [&](Index task) {
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
