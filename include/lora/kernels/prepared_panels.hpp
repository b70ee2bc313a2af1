#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

/// A right side from column `first` on.
template <class T, class Source>
struct ShiftedPanels {
  Source source;
  Index first;

  [[nodiscard]] Panel<T> panel(PanelRequest request, T* buffer) const {
    request.column += first;
    return source.panel(request, buffer);
  }
};

/// The panels of a right side (depth, columns), all made at once: for a source whose panels cost
/// much, where a product asks for each several times.
template <class T>
class PreparedPanels {
 public:
  /// Asks `source` for every panel and keeps it in `scratch`.
  template <class Source>
  requires PanelSource<Source, T> PreparedPanels(const Source& source, Index depth, Index columns,
                                                 Scratch& scratch)
      : depth_(depth),
        memory_(scratch.take<T>(depth * round_up(columns, Simd<T>::width))),
        columns_(columns) {
    constexpr Index width = TileShape<T>::columns;
    const Index across = (columns + width - 1) / width;
    const Index down = (depth + depth_block - 1) / depth_block;
    const double work = 16 * static_cast<double>(depth) * static_cast<double>(columns);
    parallel_for(across * down, threads_for(across * down, work), [&](Index task) {
      const Index column = task / down * width, k = task % down * depth_block;
      const Index count = std::min(width, columns - column),
                  deep = std::min(depth_block, depth - k);
      const Index wide = round_up(count, Simd<T>::width);
      T* const place = at(column, k, wide);
      // Read often enough that the source copies what it might else leave where it lies.
      constexpr Index often = 1 << 20;
      const Panel<T> panel = source.panel({column, count, k, deep, often}, place);
      if (panel.data == place && panel.stride == wide) return;
      for (Index i = 0; i < deep; ++i)
        std::copy_n(panel.data + i * panel.stride, wide, place + i * wide);
    });
  }

  [[nodiscard]] Index columns() const { return columns_; }

  [[nodiscard]] Panel<T> panel(const PanelRequest& request, T*) const {
    const Index count = std::min(TileShape<T>::columns, columns_ - request.column);
    const Index wide = round_up(count, Simd<T>::width);
    return {at(request.column, request.depth_begin, wide), wide};
  }

 private:
  // Panels stand one after another, each of all the depth.
  [[nodiscard]] T* at(Index column, Index k, Index wide) const {
    return memory_ + column * depth_ + k * wide;
  }

  Index depth_;
  T* memory_;
  Index columns_;
};

}  // namespace lora::kernels
