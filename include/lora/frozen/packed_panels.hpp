#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/simd.hpp"

namespace lora {

/// Views a packed W (out, in) as the right side W^T (in, out) of a product.
///
/// W lies as panels of `columns` outputs, of the last as many as are left rounded up to a whole
/// vector: [panel][input][output]. The panel that begins with output o begins at o * in.
template <class T>
struct PackedPanels {
  static constexpr Index columns = kernels::TileShape<T>::columns;

  const T* data;
  Index out;
  Index in;

  /// Returns the width in memory of the panel that begins with output `first`.
  [[nodiscard]] Index width_at(Index first) const {
    return std::min(columns, kernels::round_up(out - first, kernels::Simd<T>::width));
  }

  /// Returns where W(o, i) lies.
  [[nodiscard]] const T* at(Index o, Index i) const {
    const Index first = o / columns * columns;
    return data + first * in + i * width_at(first) + (o - first);
  }

  [[nodiscard]] kernels::Panel<T> panel(Index column, Index, Index k, Index, Index, T*) const {
    return {at(column, k), width_at(column)};
  }
};

/// Views the same memory as the right side W (out, in). Its panels are made by transposing squares
/// in registers, which a dozen tokens outweigh.
template <class T>
struct TransposedPackedPanels {
  const T* data;
  Index out;
  Index in;

  [[nodiscard]] kernels::Panel<T> panel(Index column, Index count, Index k, Index deep, Index,
                                        T* buffer) const {
    const PackedPanels<T> packed{data, out, in};
    constexpr Index columns = PackedPanels<T>::columns;
    static_assert(kernels::depth_block % columns == 0, "a depth block holds whole panels");
    const Index wide = kernels::round_up(count, kernels::Simd<T>::width);
    for (Index o = k; o < k + deep; o += columns) {
      const kernels::Strips<T> strips{packed.at(o, column), packed.width_at(o), 1};
      kernels::pack_panel(strips, count, std::min(columns, k + deep - o), buffer + (o - k) * wide);
    }
    return {buffer, wide};
  }
};

}  // namespace lora
