#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/tile_shape.hpp"
#include "lora/kernels/transposed_rows_product.hpp"

namespace lora {

/// A view of a packed W (out, in) as the right side W^T (in, out) of a product.
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
    return std::min(columns, kernels::round_up(out - first, Simd<T>::width));
  }

  /// Returns the width in memory of the panel that output `o` is in.
  [[nodiscard]] Index width_at_output(Index o) const { return width_at(o / columns * columns); }

  /// Returns where W(o, i) lies.
  [[nodiscard]] const T* at(Index o, Index i) const {
    const Index first = o / columns * columns;
    return data + first * in + i * width_at(first) + (o - first);
  }

  /// A few rows are bound by reading W, which the storage's own kernels do best.
  [[nodiscard]] static bool pays(Index rows) { return rows > kernels::TileShape<T>::rows; }

  [[nodiscard]] kernels::Panel<T> panel(const kernels::PanelRequest& request, T*) const {
    return {at(request.column, request.depth_begin), width_at(request.column)};
  }
};

/// A view of the same memory as the right side W (out, in). Its panels are made by transposing
/// squares in registers, which a dozen tokens outweigh.
template <class T>
struct TransposedPackedPanels {
  const T* data;
  Index out;
  Index in;

  /// A few rows are multiplied without transposing, by the storage's own kernel.
  [[nodiscard]] static bool pays(Index rows) { return rows > kernels::few_transposed_rows; }

  [[nodiscard]] kernels::Panel<T> panel(const kernels::PanelRequest& request, T* buffer) const {
    const PackedPanels<T> packed{data, out, in};
    constexpr Index columns = PackedPanels<T>::columns;
    const Index wide = kernels::round_up(request.columns, Simd<T>::width);
    const Index begin = request.depth_begin, end = begin + request.depth;
    for (Index o = begin; o < end;) {
      const Index next = std::min(o / columns * columns + columns, end);
      // The next panel's piece lies far from this one's.
      if (next < end) prefetch(packed.at(next, request.column), request.columns * columns);
      const kernels::Strips<T> strips{packed.at(o, request.column), packed.width_at_output(o), 1};
      kernels::pack_panel(strips, request.columns, next - o, buffer + (o - begin) * wide);
      o = next;
    }
    return {buffer, wide};
  }

  /// Returns where the pieces lie that the panel will be made from, one in each panel of outputs.
  [[nodiscard]] kernels::Ahead<T> ahead(const kernels::PanelRequest& request) const {
    const PackedPanels<T> packed{data, out, in};
    constexpr Index columns = PackedPanels<T>::columns;
    return {packed.at(request.depth_begin, request.column), columns, in * columns,
            request.columns * columns};
  }

 private:
  static void prefetch(const T* from, Index count) {
    for (Index i = 0; i < count; i += kernels::Ahead<T>::line) __builtin_prefetch(from + i);
  }
};

}  // namespace lora
