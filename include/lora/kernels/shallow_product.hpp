#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/packed_left.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/tile.hpp"

namespace lora::kernels {

/// Tells whether a product c (rows, columns) of this depth is bound by reading and writing c, so
/// that add_shallow_product should compute it: merging an adapter into a weight.
[[nodiscard]] constexpr bool is_shallow(Index rows, Index columns, Index depth) {
  return depth <= 64 && rows >= 64 && columns >= 256;
}

/// Adds alpha * left * right to c in the order in which c lies in memory: the rows of a tile from
/// left to right, each line read and written once. left (M, K) and right (K, N), given as its
/// columns, are packed as a whole, for they are small: K is at most a depth block.
template <class T>
void add_shallow_product(const MatrixRows<T>& left, const Strips<T>& right, T alpha,
                         MatrixRef<T> c) {
  constexpr Index columns = TileShape<T>::columns;
  constexpr Index step = 16;  // rows a task: whole tiles
  const Index depth = left.depth();
  Scratch scratch;
  T* const scale = scratch.take<T>(columns);
  std::fill_n(scale, columns, alpha);
  T* const panels = scratch.take<T>(round_up(c.cols(), Simd<T>::width) * depth);
  for (Index column = 0; column < c.cols(); column += columns)
    pack_panel(right.from(column, 0), std::min(columns, c.cols() - column), depth,
               panels + column * depth);
  const auto packed = pack_left<T>(left, scratch.take<T>(packed_left_size(c.rows(), depth)));
  const Index tasks = (c.rows() + step - 1) / step;
  const double work = static_cast<double>(c.size()) * static_cast<double>(depth + 16);
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    const Index last = std::min(c.rows(), (task + 1) * step);
    for (Index row = task * step; row < last;) {
      const Index high = tile_rows<T>(last - row);
      for (Index column = 0; column < c.cols(); column += columns) {
        const Index count = std::min(columns, c.cols() - column);
        T* const at = c.data() + row * c.outerStride() + column;
        tile_of<T>(
            high,
            {packed.tile(row, 0), panels + column * depth, round_up(count, Simd<T>::width), depth},
            {at, c.outerStride(), count, scale, at, c.outerStride()});
      }
      row += high;
    }
  });
}

}  // namespace lora::kernels
