#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

namespace detail {

// y(n, j) += sum over k < depth of x[k * Rows + n] times column j of the panels, which lie side by
// side, `Vectors` packets wide each; the first `rows` rows and `columns` columns of them exist.
template <class T, Index Rows, Index Panels, Index Vectors, class Stored, class Load>
[[gnu::noinline]] void add_few_rows_tile(const T* x, Index depth, const Stored* panel,
                                         Index panel_stride, const Load& load, Index rows,
                                         Index columns, T* y, Index y_stride) {
  namespace ei = Eigen::internal;
  constexpr Index width = Simd<T>::width, wide = Vectors * width, vectors = Panels * Vectors;
  constexpr Index ahead = 24;  // rows of a panel: a page or so
  Packet<T> sums[Rows * vectors];
  unroll<Rows * vectors>([&](Index i) __attribute__((always_inline)) {
    sums[i] = ei::pset1<Packet<T>>(T(0));
  });
  for (Index k = 0; k < depth; ++k) {
    Packet<T> w[vectors];
    unroll<Panels>([&](Index p) __attribute__((always_inline)) {
      const Stored* const row = panel + p * panel_stride + k * wide;
      unroll<Vectors>([&](Index v) __attribute__((always_inline)) {
        w[p * Vectors + v] = load(row + v * width);
        __builtin_prefetch(row + ahead * wide + v * width);
      });
    });
    unroll<Rows>([&](Index n) __attribute__((always_inline)) {
      const auto l = ei::pset1<Packet<T>>(x[k * Rows + n]);
      unroll<vectors>([&](Index v) __attribute__((always_inline)) {
        sums[n * vectors + v] = ei::pmadd(l, w[v], sums[n * vectors + v]);
      });
    });
  }
  std::array<T, static_cast<std::size_t>(Rows * Panels * wide)> out;
  unroll<Rows * vectors>([&](Index i) __attribute__((always_inline)) {
    ei::pstoreu(out.data() + i * width, sums[i]);
  });
  for (Index n = 0; n < rows; ++n)
    for (Index j = 0; j < columns; ++j)
      y[n * y_stride + j] += out[static_cast<std::size_t>(n * Panels * wide + j)];
}

/// A product of a few rows with panels of whole vectors.
template <class T, class Stored, class Load>
struct FewRowsOperands {
  const T* x;  // sets of rows, each [input][row of the set], rows that do not exist zeros
  Index rows;
  Index inputs;
  const Stored* panels;
  Index outputs;
  const Load& load;
};

// The outputs [column, column + columns), which begin with a whole panel, for sets of Rows rows.
template <class T, Index Rows, class Stored, class Load>
void add_few_rows(const FewRowsOperands<T, Stored, Load>& from, Index column, Index columns,
                  MatrixRef<T>& y) {
  constexpr Index width = Simd<T>::width, panel = TileShape<T>::columns;
  constexpr Index together = TileShape<T>::rows / Rows;
  // What a second set of rows reads again stays in the second-level cache.
  constexpr Index block = 2048;
  const Index end = column + columns;
  for (; column < end;) {
    const Index whole = (end - column) / panel;
    const Index panels = whole >= together ? together : 1;
    const Index count = std::min(panels * panel, end - column);
    const Index vectors = whole > 0 ? 3 : (count + width - 1) / width;
    for (Index k = 0; k < from.inputs; k += block) {
      const Index depth = std::min(block, from.inputs - k);
      const Stored* const at = from.panels + column * from.inputs + k * vectors * width;
      for (Index row = 0; row < from.rows; row += Rows) {
        const T* const x = from.x + row * from.inputs + k * Rows;
        const Index rows = std::min(Rows, from.rows - row);
        T* const to = y.data() + row * y.outerStride() + column;
        const auto run = [&](auto tile) {
          tile(x, depth, at, panel * from.inputs, from.load, rows, count, to, y.outerStride());
        };
        if (panels == together && whole > 0)
          run(add_few_rows_tile<T, Rows, together, 3, Stored, Load>);
        else if (vectors == 3)
          run(add_few_rows_tile<T, Rows, 1, 3, Stored, Load>);
        else if (vectors == 2)
          run(add_few_rows_tile<T, Rows, 1, 2, Stored, Load>);
        else
          run(add_few_rows_tile<T, Rows, 1, 1, Stored, Load>);
      }
    }
    column += count;
  }
}

}  // namespace detail

/// Rows up to which add_few_rows_product is faster than panels that are decoded once for all rows.
inline constexpr Index few_decoded_rows = 2 * TileShape<float>::rows;

/// Adds x W^T to y for a few rows: x (N, inputs), y (N, outputs), W (outputs, inputs) in panels of
/// whole vectors, [panel][input][output] as PackedPanels has it, of which load(address) returns a
/// packet of T: what is stored in fewer bits is decoded in registers, on its way to the sums. W is
/// read once, in the order in which it lies. The same bits for any number of threads.
template <class T, class Stored, class Load>
void add_few_rows_product(ConstMatrixRef<T> x, const Stored* panels, const Load& load,
                          MatrixRef<T> y) {
  static_assert(TileShape<T>::vectors == 3);
  const Index rows = x.rows(), inputs = x.cols(), outputs = y.cols();
  const Index set = rows <= 2 ? 2 : rows <= 4 ? 4 : TileShape<T>::rows;
  Scratch scratch;
  T* const packed = scratch.take<T>(kernels::round_up(rows, set) * inputs);
  for (Index first = 0; first < rows; first += set) {
    T* const to = packed + first * inputs;
    for (Index n = 0; n < set; ++n) {
      const T* const row = x.data() + std::min(first + n, rows - 1) * x.outerStride();
      const bool exists = first + n < rows;
      for (Index k = 0; k < inputs; ++k) to[k * set + n] = exists ? row[k] : T(0);
    }
  }
  const detail::FewRowsOperands<T, Stored, Load> from{packed, rows, inputs, panels, outputs, load};
  constexpr Index step = TileShape<T>::rows / 2 * TileShape<T>::columns;
  const Index tasks = (outputs + step - 1) / step;
  // A number is read in about the time of so many multiply-adds.
  const double work = 8 * static_cast<double>(outputs) * static_cast<double>(inputs);
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    const Index column = task * step, columns = std::min(step, outputs - column);
    if (set == 2) return detail::add_few_rows<T, 2>(from, column, columns, y);
    if (set == 4) return detail::add_few_rows<T, 4>(from, column, columns, y);
    if constexpr (TileShape<T>::rows > 4)
      detail::add_few_rows<T, TileShape<T>::rows>(from, column, columns, y);
  });
}

}  // namespace lora::kernels
