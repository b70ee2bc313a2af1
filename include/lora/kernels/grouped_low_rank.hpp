#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/dot_tile.hpp"
#include "lora/kernels/low_rank_path.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/product.hpp"
#include "lora/kernels/row_groups.hpp"
#include "lora/kernels/scaled_rows.hpp"
#include "lora/kernels/short_rows.hpp"
#include "lora/random/dropout_mask.hpp"

/// The low-rank paths of a batch whose rows belong to groups, each with factors of its own. What is
/// computed for a group is what its rows would have in a batch of their own, dropout masks
/// included. The factors are read where they lie, once for each band of rows; the rows of a group
/// need not be neighbours. Every function gives the same bits for any number of threads, and a
/// second call of the same shapes allocates nothing.
///
/// xa and g are (places, the largest rank): row i belongs to place i of the groups, and
/// only its first columns count, as many as the group's rank.
namespace lora::grouped_low_rank {

/// One group's path and where its gradients go. Without rows in `a` it adds nothing.
template <class T>
struct Path {
  ConstMatrixRef<T> a;              // (R, in)
  ConstMatrixRef<T> b;              // (out, R)
  T s;                              // the scaling
  std::optional<DropoutMask> mask;  // of the group's rows of x, if any
  MatrixRef<T> da;                  // (R, in), of backward alone; empty where A is frozen
  MatrixRef<T> db;                  // (out, R), likewise
};

template <class T>
using Paths = std::span<const Path<T>>;

namespace detail {

inline constexpr Index tile_cols = 512;
static_assert(tile_cols % DropoutMask::group == 0);

// Calls work(run, column, columns) for every run of rows and every tile of `width` columns, in
// parallel. `cost` counts elements of factors that are read, in multiply-adds of that time.
template <class Work>
void for_each_tile(std::span<const RowGroups::Run> runs, Index width, double cost,
                   const Work& work) {
  const Index tiles = (width + tile_cols - 1) / tile_cols;
  const Index tasks = static_cast<Index>(runs.size()) * tiles;
  parallel_for(tasks, threads_for(tasks, cost), [&](Index task) {
    const Index column = task % tiles * tile_cols;
    work(runs[static_cast<std::size_t>(task / tiles)], column, std::min(tile_cols, width - column));
  });
}

// The multiply-adds of a product over all bands, of which those of few rows wait for memory.
template <class T>
double cost_of(const RowGroups& groups, Paths<T> paths, Index width) {
  double sum = 0;
  for (const RowGroups::Run& band : groups.bands()) {
    const auto rank = paths[static_cast<std::size_t>(band.group)].a.rows();
    sum += static_cast<double>(band.count + 8) * static_cast<double>(rank);
  }
  return sum * static_cast<double>(width);
}

// Returns columns [column, column + columns) of a run's rows of `m`: where they lie, or a copy.
template <class T>
ConstMatrixRef<T> rows_of(const RowGroups& groups, const RowGroups::Run& run,
                          const ConstMatrixRef<T>& m, Index column, Index columns,
                          Scratch& scratch) {
  if (groups.neighbours(run))
    return {m.data() + groups.row(run.first) * m.outerStride() + column, run.count, columns,
            m.outerStride()};
  MatrixRef<T> copy = scratch.matrix<T>(run.count, columns);
  for (Index i = 0; i < run.count; ++i)
    std::copy_n(m.data() + groups.row(run.first + i) * m.outerStride() + column, columns,
                copy.data() + i * columns);
  return copy;
}

// Calls use(tile) with zeros (run.count, columns) to be filled, and adds what is there to these
// columns of the run's rows of `m`; where they are neighbours, they are the tile themselves.
template <class T, class Use>
void add_to_rows(const RowGroups& groups, const RowGroups::Run& run, Index column, Index columns,
                 MatrixRef<T> m, const Use& use) {
  const auto at = [&](Index i) {
    return m.data() + groups.row(run.first + i) * m.outerStride() + column;
  };
  if (groups.neighbours(run)) return use(MatrixRef<T>(at(0), run.count, columns, m.outerStride()));
  Scratch scratch;
  MatrixRef<T> tile = scratch.matrix<T>(run.count, columns);
  tile.setZero();
  use(tile);
  for (Index i = 0; i < run.count; ++i) {
    T* const to = at(i);
    for (Index j = 0; j < columns; ++j) to[j] += tile(i, j);
  }
}

// Returns the masked columns of a run's rows of x, whose first place is the first of its group's
// rows if `begin` is 0.
template <class T>
MatrixRef<T> dropped(const RowGroups& groups, const RowGroups::Run& run, Index begin,
                     const ConstMatrixRef<T>& x, const DropoutMask& mask, Index column,
                     Index columns, MatrixRef<T> tile) {
  for (Index i = 0; i < run.count; ++i) {
    T* const to = tile.data() + i * tile.outerStride();
    mask.fill(begin + i, column, columns, to);
    const T* const from = x.data() + groups.row(run.first + i) * x.outerStride() + column;
    for (Index j = 0; j < columns; ++j) to[j] *= from[j];
  }
  return {tile.data(), run.count, columns, tile.outerStride()};
}

// The most rows of a band for which packing the operands of a product costs more than it saves.
inline constexpr Index few_rows = 4;

// Adds alpha a b to c for c (m, columns), a (m, k) with these strides, b (k, columns): few rows of
// a band one by one.
template <class T>
void add_small_product(MatrixRef<T> c, T alpha, const ConstMatrixRef<T>& a,
                       const ConstMatrixRef<T>& b) {
  if (c.rows() > few_rows) return add_product(c, alpha, a, b);
  for (Index i = 0; i < c.rows(); ++i)
    kernels::add_scaled_rows<T>(a.data() + i * a.outerStride(), 1, a.cols(), alpha, b.data(),
                                b.outerStride(), c.cols(), c.data() + i * c.outerStride());
}

// Adds alpha a^T b to c for c (m, columns), a (k, m), b (k, columns).
template <class T>
void add_small_transposed_product(MatrixRef<T> c, T alpha, const ConstMatrixRef<T>& a,
                                  const ConstMatrixRef<T>& b) {
  if (a.rows() > few_rows) return add_product(c, alpha, a.transpose(), b);
  for (Index i = 0; i < c.rows(); ++i)
    kernels::add_scaled_rows<T>(a.data() + i, a.outerStride(), a.rows(), alpha, b.data(),
                                b.outerStride(), c.cols(), c.data() + i * c.outerStride());
}

// Tells whether the rows of a band go one by one through B (out, R), which is read where it lies.
template <class T>
[[nodiscard]] bool goes_by_rows(Index rows, const ConstMatrixRef<T>& b) {
  return rows <= few_rows && kernels::takes_short_rows<T>(b.cols());
}

// Where columns from `column` on of the row of `m` at a place begin.
template <class Ref>
auto* row_at(const RowGroups& groups, Index place, Ref m, Index column) {
  return m.data() + groups.row(place) * m.outerStride() + column;
}

// Returns the transpose of `m`, whose columns are few.
template <class T>
MatrixRef<T> turned(const ConstMatrixRef<T>& m, Scratch& scratch) {
  MatrixRef<T> out = scratch.matrix<T>(m.cols(), m.rows());
  kernels::pack_strips<T>({m.data(), m.outerStride(), 1}, m.rows(), m.rows(), m.cols(), out.data());
  return out;
}

// The rows of a run in xa or g, of the columns that its path has.
template <class Ref>
auto part_of(Ref&& all, const RowGroups::Run& run, Index rank) {
  return all.block(run.first, 0, run.count, rank);
}

}  // namespace detail

/// Computes xa = drop(x) A^T of every group, for x (N, in).
template <class T>
void forward(const RowGroups& groups, Paths<T> paths, ConstMatrixRef<T> x, MatrixRef<T> xa) {
  const Index in = x.cols();
  const auto& bands = groups.bands();
  const auto tasks = static_cast<Index>(bands.size());
  parallel_for(tasks, threads_for(tasks, detail::cost_of(groups, paths, in)), [&](Index task) {
    const RowGroups::Run& band = bands[static_cast<std::size_t>(task)];
    const Path<T>& path = paths[static_cast<std::size_t>(band.group)];
    if (path.a.rows() == 0) return;
    MatrixRef<T> to(detail::part_of(xa, band, path.a.rows()));
    to.setZero();
    const kernels::DotTarget<T> target{to.data(), to.outerStride(), 1};
    Scratch scratch;
    if (!path.mask)
      return kernels::add_dot_products<T>(detail::rows_of(groups, band, x, 0, in, scratch), path.a,
                                          T(1), target, 0, band.count);
    const MatrixRef<T> tile = scratch.matrix<T>(band.count, std::min(detail::tile_cols, in));
    const Index begin = band.first - groups.groups()[static_cast<std::size_t>(band.group)].first;
    for (Index column = 0; column < in; column += detail::tile_cols) {
      const Index columns = std::min(detail::tile_cols, in - column);
      kernels::add_dot_products<T>(
          detail::dropped(groups, band, begin, x, *path.mask, column, columns, tile),
          path.a.middleCols(column, columns), T(1), target, 0, band.count);
    }
  });
}

/// Adds s xa B^T of every group to its rows of y (N, out).
template <class T>
void add_to_y(const RowGroups& groups, Paths<T> paths, ConstMatrixRef<T> xa, MatrixRef<T> y) {
  detail::for_each_tile(
      groups.bands(), y.cols(), detail::cost_of(groups, paths, y.cols()),
      [&](const RowGroups::Run& band, Index column, Index columns) {
        const Path<T>& path = paths[static_cast<std::size_t>(band.group)];
        if (path.a.rows() == 0) return;
        const ConstMatrixRef<T> left(detail::part_of(xa, band, path.a.rows()));
        const ConstMatrixRef<T> b(path.b.middleRows(column, columns));
        if (detail::goes_by_rows(band.count, b)) {
          for (Index i = 0; i < band.count; ++i)
            kernels::add_short_rows_product(left.data() + i * left.outerStride(), path.s, b,
                                            detail::row_at(groups, band.first + i, y, column));
          return;
        }
        Scratch scratch;
        const bool few = band.count <= detail::few_rows;
        const ConstMatrixRef<T> bt = few ? detail::turned(b, scratch) : b;
        detail::add_to_rows<T>(groups, band, column, columns, y, [&](MatrixRef<T> tile) {
          few ? detail::add_small_product(tile, path.s, left, bt)
              : add_product(tile, path.s, left, b.transpose());
        });
      });
}

/// Computes g = dy B of every group, for dy (N, out).
template <class T>
void gradient_of_xa(const RowGroups& groups, Paths<T> paths, ConstMatrixRef<T> dy, MatrixRef<T> g) {
  const Index out = dy.cols();
  const auto& bands = groups.bands();
  const auto tasks = static_cast<Index>(bands.size());
  parallel_for(tasks, threads_for(tasks, detail::cost_of(groups, paths, out)), [&](Index task) {
    const RowGroups::Run& band = bands[static_cast<std::size_t>(task)];
    const ConstMatrixRef<T>& b = paths[static_cast<std::size_t>(band.group)].b;
    if (b.cols() == 0) return;
    MatrixRef<T> to(detail::part_of(g, band, b.cols()));
    to.setZero();
    if (detail::goes_by_rows(band.count, b)) {
      for (Index i = 0; i < band.count; ++i)
        kernels::add_weighted_short_rows(detail::row_at(groups, band.first + i, dy, 0), b,
                                         to.data() + i * to.outerStride());
      return;
    }
    Scratch scratch;
    // The kernel wants rows as long as those of dy.
    const MatrixRef<T> bt = detail::turned(b, scratch);
    kernels::add_dot_products<T>(detail::rows_of(groups, band, dy, 0, out, scratch), bt, T(1),
                                 {to.data(), to.outerStride(), 1}, 0, band.count);
  });
}

/// Adds (s g A) * mask of every group to its rows of dx (N, in).
template <class T>
void add_to_dx(const RowGroups& groups, Paths<T> paths, ConstMatrixRef<T> g, MatrixRef<T> dx) {
  detail::for_each_tile(
      groups.bands(), dx.cols(), detail::cost_of(groups, paths, dx.cols()),
      [&](const RowGroups::Run& band, Index column, Index columns) {
        const Path<T>& path = paths[static_cast<std::size_t>(band.group)];
        if (path.a.rows() == 0) return;
        const ConstMatrixRef<T> left(detail::part_of(g, band, path.a.rows()));
        const ConstMatrixRef<T> a(path.a.middleCols(column, columns));
        if (!path.mask)
          return detail::add_to_rows<T>(groups, band, column, columns, dx, [&](MatrixRef<T> tile) {
            detail::add_small_product(tile, path.s, left, a);
          });
        Scratch scratch;
        MatrixRef<T> sum = scratch.matrix<T>(band.count, columns);
        sum.setZero();
        detail::add_small_product(sum, path.s, left, a);
        const Index begin =
            band.first - groups.groups()[static_cast<std::size_t>(band.group)].first;
        T* const mask = scratch.take<T>(columns);
        for (Index i = 0; i < band.count; ++i) {
          path.mask->fill(begin + i, column, columns, mask);
          T* const to = dx.data() + groups.row(band.first + i) * dx.outerStride() + column;
          for (Index j = 0; j < columns; ++j) to[j] += mask[j] * sum(i, j);
        }
      });
}

namespace detail {

// Calls use(the group's next rows, their number in the group), in order.
template <class Use>
void in_bands(const RowGroups::Run& group, const Use& use) {
  for (Index i = 0; i < group.count; i += RowGroups::band_rows)
    use(RowGroups::Run{group.group, group.first + i,
                       std::min(RowGroups::band_rows, group.count - i)},
        i);
}

}  // namespace detail

/// Adds s g^T drop(x) to the da of every group whose da is not empty, for x (N, in).
template <class T>
void add_gradients_of_a(const RowGroups& groups, Paths<T> paths, ConstMatrixRef<T> x,
                        ConstMatrixRef<T> g) {
  detail::for_each_tile(groups.groups(), x.cols(), detail::cost_of(groups, paths, x.cols()),
                        [&](const RowGroups::Run& group, Index column, Index columns) {
                          const Path<T>& path = paths[static_cast<std::size_t>(group.group)];
                          if (path.da.rows() == 0) return;
                          const MatrixRef<T> da(MatrixRef<T>(path.da).middleCols(column, columns));
                          detail::in_bands(group, [&](const RowGroups::Run& band, Index begin) {
                            Scratch scratch;
                            const ConstMatrixRef<T> rows =
                                path.mask
                                    ? ConstMatrixRef<T>(detail::dropped(
                                          groups, band, begin, x, *path.mask, column, columns,
                                          scratch.matrix<T>(band.count, columns)))
                                    : detail::rows_of(groups, band, x, column, columns, scratch);
                            const ConstMatrixRef<T> left(detail::part_of(g, band, path.a.rows()));
                            detail::add_small_transposed_product(da, path.s, left, rows);
                          });
                        });
}

/// Adds s dy^T xa to the db of every group, for dy (N, out).
template <class T>
void add_gradients_of_b(const RowGroups& groups, Paths<T> paths, ConstMatrixRef<T> dy,
                        ConstMatrixRef<T> xa) {
  detail::for_each_tile(
      groups.groups(), dy.cols(), detail::cost_of(groups, paths, dy.cols()),
      [&](const RowGroups::Run& group, Index column, Index columns) {
        const Path<T>& path = paths[static_cast<std::size_t>(group.group)];
        if (path.a.rows() == 0) return;
        if (detail::goes_by_rows(group.count, path.b)) {
          const MatrixRef<T> db(MatrixRef<T>(path.db).middleRows(column, columns));
          for (Index i = 0; i < group.count; ++i)
            kernels::add_outer_product(detail::row_at(groups, group.first + i, dy, column), path.s,
                                       xa.data() + (group.first + i) * xa.outerStride(), db);
          return;
        }
        Scratch scratch;
        // Transposed, so that the long side lies element by element.
        MatrixRef<T> sum = scratch.matrix<T>(path.a.rows(), columns);
        sum.setZero();
        detail::in_bands(group, [&](const RowGroups::Run& band, Index) {
          Scratch inner;
          const ConstMatrixRef<T> left(detail::part_of(xa, band, path.a.rows()));
          detail::add_small_transposed_product(
              sum, path.s, left, detail::rows_of(groups, band, dy, column, columns, inner));
        });
        const MatrixRef<T> turned = detail::turned<T>(sum, scratch);
        MatrixRef<T> db(MatrixRef<T>(path.db).middleRows(column, columns));
        if (db.outerStride() == db.cols())
          return packets::transform(
              db.size(), db.data(),
              [](const Packet<T>& m, const Packet<T>& n) { return Eigen::internal::padd(m, n); },
              static_cast<const T*>(db.data()), turned.data());
        db += turned;
      });
}

/// Adds the gradients of every group's factors, da += s g^T drop(x) and db += s dy^T xa. A group
/// whose da is empty has an A that does not train.
template <class T>
void add_gradients(const RowGroups& groups, Paths<T> paths, ConstMatrixRef<T> x,
                   ConstMatrixRef<T> dy, ConstMatrixRef<T> xa, ConstMatrixRef<T> g) {
  add_gradients_of_a<T>(groups, paths, x, g);
  add_gradients_of_b<T>(groups, paths, dy, xa);
}

}  // namespace lora::grouped_low_rank
