#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "lora/core/scratch.hpp"
#include "lora/frozen/packed_panels.hpp"
#include "lora/kernels/few_rows_product.hpp"
#include "lora/kernels/half_formats.hpp"
#include "lora/kernels/transposed_rows_product.hpp"

namespace lora {

/// A view of a W (out, in) that is packed as PackedPanels has it, in numbers of 16 bits, as the
/// right side W^T (in, out) of a product in T. A panel is widened into the second-level cache, from
/// where tiles read it as often as there are rows.
template <class T, class Format>
struct HalfPanels {
  PackedPanels<T> places;  // whose data is not used
  const std::uint16_t* data;
  Index below = std::numeric_limits<Index>::max();  ///< rows from which W has a faster product

  /// Returns where W(o, i) lies.
  [[nodiscard]] const std::uint16_t* at(Index o, Index i) const {
    constexpr Index columns = PackedPanels<T>::columns;
    const Index first = o / columns * columns;
    return data + first * places.in + i * places.width_at(first) + (o - first);
  }

  /// A few rows are bound by reading and widening W, which the storage's own kernels do best, and
  /// some processors have matrix tiles for many.
  [[nodiscard]] bool pays(Index rows) const {
    return rows > kernels::few_decoded_rows && rows < below;
  }

  [[nodiscard]] kernels::Panel<T> panel(const kernels::PanelRequest& request, T* buffer) const {
    const Index wide = places.width_at(request.column);
    kernels::widen<T, Format>(at(request.column, request.depth_begin), request.depth * wide,
                              buffer);
    return {buffer, wide};
  }
};

/// A view of the same memory as the right side W (out, in): squares are widened and transposed.
template <class T, class Format>
struct TransposedHalfPanels {
  HalfPanels<T, Format> panels;
  Index below = std::numeric_limits<Index>::max();  ///< rows from which W has a faster product

  /// A few rows are multiplied without transposing, by the storage's own kernel; more of them than
  /// for packed floats, because panels have to be widened as well.
  [[nodiscard]] bool pays(Index rows) const {
    return rows > kernels::few_transposed_rows + 8 && rows < below;
  }

  [[nodiscard]] kernels::Panel<T> panel(const kernels::PanelRequest& request, T* buffer) const {
    constexpr Index columns = PackedPanels<T>::columns;
    const Index wide = kernels::round_up(request.columns, Simd<T>::width);
    const Index begin = request.depth_begin, end = begin + request.depth;
    Scratch scratch;
    T* const block = scratch.take<T>(request.columns * columns);
    for (Index o = begin; o < end;) {
      const Index first = o / columns * columns, next = std::min(first + columns, end);
      const Index width = panels.places.width_at(first);
      kernels::widen<T, Format>(panels.at(first, request.column), request.columns * width, block);
      kernels::pack_panel(kernels::Strips<T>{block + (o - first), width, 1}, request.columns,
                          next - o, buffer + (o - begin) * wide);
      o = next;
    }
    return {buffer, wide};
  }
};

}  // namespace lora
