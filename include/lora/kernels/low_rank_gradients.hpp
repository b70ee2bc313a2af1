#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/low_rank_path.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/panel_product.hpp"

namespace lora::low_rank_path {

/// The gradients of one path's factors, and the matrices that they are made of:
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

template <class T>
using MatrixProduct = kernels::Product<T, kernels::MatrixPanels<T>>;

// Computes the panel of c = start + product that begins with `column`.
template <class T>
void add_panel(const MatrixProduct<T>& product, Index column, const kernels::Start<T>& start,
               MatrixRef<T> c) {
  const kernels::PanelTasks<T> tasks(c.rows(), c.cols());
  const Index first = column / tasks.width * tasks.bands;
  for (Index task = first; task < first + tasks.bands; ++task)
    kernels::panel_task(tasks, task, c, start, product);
}

// The product left^T right of two row-major matrices of the same rows, the left one small.
template <class T>
MatrixProduct<T> transposed_product(const ConstMatrixRef<T>& left, const ConstMatrixRef<T>& right,
                                    T alpha, Scratch& scratch) {
  T* const memory = scratch.take<T>(kernels::packed_left_size(left.cols(), left.rows()));
  return {kernels::pack_left<T>(kernels::MatrixRows<T>::transposed(left), memory),
          {{right.data(), 1, right.outerStride()}},
          alpha};
}

// Adds c^T to out: c (R, columns), out (columns, R).
template <class T>
void add_transposed(ConstMatrixRef<T> c, MatrixRef<T> out) {
  Scratch scratch;
  T* const turned = scratch.take<T>(c.size());
  kernels::pack_strips<T>({c.data(), c.outerStride(), 1}, c.rows(), c.rows(), c.cols(), turned);
  for (Index j = 0; j < out.rows(); ++j) {
    T* const to = out.data() + j * out.outerStride();
    for (Index r = 0; r < out.cols(); ++r) to[r] += turned[j * c.rows() + r];
  }
}

}  // namespace detail

/// Adds the gradients of the factors of every path that begins at x (N, in), in one pass over x
/// and one over each dy.
template <class T>
void add_gradients(ConstMatrixRef<T> x, std::span<const Gradients<T>> paths) {
  struct Path {
    std::optional<detail::MatrixProduct<T>> a, b;
    std::optional<MatrixRef<T>> db_transposed;
  };
  if (x.rows() == 0) return;
  Scratch scratch;
  std::array<Path, most_paths> work;
  double cost = 0;
  Index tasks = kernels::PanelTasks<T>(1, x.cols()).count;
  for (std::size_t p = 0; p < paths.size(); ++p) {
    const Gradients<T>& path = paths[p];
    if (path.da.cols() > 0) work[p].a = detail::transposed_product<T>(path.g, x, path.s, scratch);
    work[p].b = detail::transposed_product<T>(path.xa, path.dy, path.s, scratch);
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
      detail::add_transposed<T>(transposed.middleCols(column, columns),
                                MatrixRef<T>(paths[p].db).middleRows(column, columns));
      return;
    }
  });
}

}  // namespace lora::low_rank_path
