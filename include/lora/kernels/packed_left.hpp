#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/simd.hpp"
#include "lora/kernels/tile.hpp"

namespace lora::kernels {

/// Views the left side of a product, (rows, depth), packed in the order in which tiles read it:
/// depth blocks after one another, in each the rows of a tile after one another, and of those
/// element k of every row side by side.
template <class T>
struct PackedLeft {
  const T* data;
  Index rows;
  Index depth;

  /// Returns the tile at `row` from column `k` on, `k` the begin of a depth block.
  [[nodiscard]] const T* tile(Index row, Index k) const {
    return data + k * rows + row * std::min(depth_block, depth - k);
  }
};

/// Returns the scalars that pack_left writes.
[[nodiscard]] constexpr Index packed_left_size(Index rows, Index depth) { return rows * depth; }

/// Packs the rows [first, last) of a left side, `first` the begin of a tile.
template <class T>
void pack_left_rows(const Strips<T>& in, Index rows, Index depth, Index first, Index last, T* out) {
  for (Index k = 0; k < depth; k += depth_block) {
    const Index deep = std::min(depth_block, depth - k);
    for (Index row = first; row < last;) {
      const Index high = tile_rows<T>(last - row);
      const Strips<T> strips{in.at(row, k), in.across, in.along};
      T* const to = out + k * rows + row * deep;
      if (high == 8)
        pack_strips<T, 8>(strips, 8, deep, to);
      else if (high == 4)
        pack_strips<T, 4>(strips, 4, deep, to);
      else if (high == 2)
        pack_strips<T, 2>(strips, 2, deep, to);
      else
        pack_strips<T, 1>(strips, 1, deep, to);
      row += high;
    }
  }
}

/// Packs a left side (rows, depth), given as `rows` strips, into `out`.
template <class T>
PackedLeft<T> pack_left(const Strips<T>& in, Index rows, Index depth, T* out) {
  constexpr Index step = 64;  // rows a task: a whole number of tiles
  const Index tasks = (rows + step - 1) / step;
  // An element is moved in about the time of so many multiply-adds.
  const double work = 16 * static_cast<double>(rows) * static_cast<double>(depth);
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    pack_left_rows(in, rows, depth, task * step, std::min(rows, (task + 1) * step), out);
  });
  return {out, rows, depth};
}

}  // namespace lora::kernels
