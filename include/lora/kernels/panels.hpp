#pragma once

#include <concepts>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/kernels/ahead.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/tile_shape.hpp"

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

/// The piece of a right side (depth, columns) that a product asks a PanelSource for.
struct PanelRequest {
  Index column;       ///< the first; a product asks for multiples of TileShape<T>::columns
  Index columns;      ///< at most TileShape<T>::columns, fewer at the right edge
  Index depth_begin;  ///< the first row; a product asks for multiples of depth_block
  Index depth;        ///< rows, at most depth_block
  Index readings;     ///< how often tiles will read the panel
};

/// The right side (depth, columns) of a product, given panel by panel: what lies in memory, or is
/// decoded, or computed, is multiplied by the same tiles.
///
///     panel(request, buffer)
///
/// returns the piece asked for, its columns filled up to whole packets with finite numbers;
/// `buffer` has room for it where it has to be made. Calls come from several threads at once.
template <class P, class T>
concept PanelSource = requires(const P& source, const PanelRequest& request, T* buffer) {
  { source.panel(request, buffer) } -> std::same_as<Panel<T>>;
};

/// A PanelSource that tells where the memory lies that a panel will be made from, `ahead(request)`,
/// so that tiles ask for it while they still compute with the panel before.
template <class P, class T>
concept ForeseenPanelSource = PanelSource<P, T> &&
    requires(const P& source, const PanelRequest& request) {
  { source.ahead(request) } -> std::same_as<Ahead<T>>;
};

/// A PanelSource whose numbers are to be multiplied by one factor for each column, `column_scale()`
/// (columns): codes with one scale an output, which the tiles apply to sums instead of to elements.
template <class P, class T>
concept ScaledPanelSource = PanelSource<P, T> && requires(const P& source) {
  { source.column_scale() } -> std::convertible_to<const T*>;
};

/// Packs `count` strips, at most TileShape<T>::columns, of `depth` elements as a panel: its rows
/// are `count` rounded up to whole packets long, filled up with zeros.
template <class T>
Panel<T> pack_panel(const Strips<T>& strips, Index count, Index depth, T* out) {
  const Index wide = round_up(count, Simd<T>::width);
  pack_strips(strips, count, wide, depth, out);
  return {out, wide};
}

/// Whether products of dense matrices are the business of a BLAS behind Eigen.
#ifdef EIGEN_USE_BLAS
inline constexpr bool blas_multiplies = true;
#else
inline constexpr bool blas_multiplies = false;
#endif

/// Rows of a left side for which transposing a right side costs more than multiplying with it.
inline constexpr Index few_rows = 16;

/// The panels of a matrix in memory, of either order.
template <class T>
struct MatrixPanels {
  Strips<T> columns;  // of the right side

  /// Tells whether a product of `rows` rows is better made from panels than by add_product, which
  /// has a kernel for one row and one for a few rows of columns that lie element by element, and
  /// which a BLAS takes over where there is one.
  [[nodiscard]] bool pays(Index rows) const {
    return !blas_multiplies && rows > (columns.across == 1 ? 1 : few_rows);
  }

  [[nodiscard]] Panel<T> panel(const PanelRequest& request, T* buffer) const {
    const Strips<T> strips = columns.from(request.column, request.depth_begin);
    // Where the rows lie as tiles want them, copying pays from the second or third reading on.
    if (columns.across == 1 && request.columns % Simd<T>::width == 0 && request.readings <= 2)
      return {strips.data, columns.along};
    return pack_panel(strips, request.columns, request.depth, buffer);
  }
};

}  // namespace lora::kernels
