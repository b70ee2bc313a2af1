#pragma once

#include <algorithm>
#include <concepts>

#include "lora/core/matrix.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/simd.hpp"

namespace lora::kernels {

/// The depth of the blocks that products sum over at a time: a panel of that depth (a whole number
/// of panels wide, whatever the vectors) stays in the second-level cache. It depends on nothing, so
/// that sums come out the same for any number of threads.
inline constexpr Index depth_block = 384;

/// A piece of a product's right side as tiles read it: row k at data + k * stride, in packets.
template <class T>
struct Panel {
  const T* data;
  Index stride;
};

/// Packs `count` strips, at most TileShape<T>::columns, of `deep` elements as a panel: its rows are
/// `count` rounded up to whole packets long, filled up with zeros.
template <class T>
void pack_panel(const Strips<T>& strips, Index count, Index deep, T* out) {
  constexpr Index width = Simd<T>::width;
  const Index vectors = (count + width - 1) / width;
  if (vectors == 3)
    pack_strips<T, 3 * width>(strips, count, deep, out);
  else if (vectors == 2)
    pack_strips<T, 2 * width>(strips, count, deep, out);
  else
    pack_strips<T, width>(strips, count, deep, out);
}

/// Is satisfied by a right side (depth, columns) that gives its panels: TileShape<T>::columns
/// columns from `column` on (fewer at the end, filled up to whole packets), rows [k, k + deep).
/// `buffer` has room for one panel that has to be made; `tiles` is how often it will be read.
template <class P, class T>
concept PanelSource = requires(const P& source, Index at, T* buffer) {
  { source.panel(at, at, at, at, at, buffer) } -> std::same_as<Panel<T>>;
};

/// Gives the panels of a matrix in memory, of either order.
template <class T>
struct MatrixPanels {
  Strips<T> columns;  // of the right side

  [[nodiscard]] Panel<T> panel(Index column, Index count, Index k, Index deep, Index tiles,
                               T* buffer) const {
    constexpr Index width = Simd<T>::width;
    const Strips<T> strips{columns.at(column, k), columns.across, columns.along};
    // Where the rows lie as tiles want them, copying pays from the second or third reading on.
    if (columns.across == 1 && count % width == 0 && tiles <= 2)
      return {strips.data, columns.along};
    pack_panel(strips, count, deep, buffer);
    return {buffer, round_up(count, width)};
  }
};

}  // namespace lora::kernels
