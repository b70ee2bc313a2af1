#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/kernels/left_source.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/tile.hpp"

namespace lora::kernels {

/// A view of the left side of a product, (rows, depth), packed in the order in which tiles read it:
/// depth blocks after one another, in each the rows of a tile after one another, and of those
/// element k of every row side by side.
template <class T>
struct PackedLeft {
  const T* data;
  Index rows;
  Index depth;

  /// Returns the tile at `row` from element k on, `k` the begin of a depth block.
  [[nodiscard]] const T* tile(Index row, Index k) const {
    return data + k * rows + row * std::min(depth_block, depth - k);
  }
};

/// Returns the scalars that pack_left writes.
[[nodiscard]] constexpr Index packed_left_size(Index rows, Index depth) { return rows * depth; }

/// Packs the rows [begin, begin + rows) of `source` into `out`.
template <class T, class Source>
requires LeftSource<Source, T> PackedLeft<T> pack_left(const Source& source, Index begin,
                                                       Index rows, T* out) {
  const Index depth = source.depth();
  constexpr Index step = 64;  // rows a task: a whole number of tiles
  const Index tasks = (rows + step - 1) / step;
  // An element is moved in about the time of so many multiply-adds.
  const double work = 16 * static_cast<double>(rows) * static_cast<double>(depth);
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    const Index last = std::min(rows, (task + 1) * step);
    for (Index k = 0; k < depth; k += depth_block) {
      const Index deep = std::min(depth_block, depth - k);
      for (Index row = task * step; row < last;) {
        const Index high = tile_rows<T>(last - row);
        source.pack({begin + row, high, k, deep}, out + k * rows + row * deep);
        row += high;
      }
    }
  });
  return {out, rows, depth};
}

/// Packs all rows of `source` into `out`.
template <class T, class Source>
requires LeftSource<Source, T> PackedLeft<T> pack_left(const Source& source, T* out) {
  return pack_left<T>(source, 0, source.rows(), out);
}

}  // namespace lora::kernels
