#pragma once

#include "lora/core/matrix.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

/// Memory that a later panel will be made from, as a hint: pieces `stride` scalars apart, of which
/// a tile asks one cache line a step of its depth, `steps` lines of each piece. None where `data`
/// is null.
template <class T>
struct Ahead {
  static constexpr auto line = static_cast<Index>(64 / sizeof(T));  ///< scalars

  const T* data = nullptr;
  Index steps = 1;
  Index stride = 0;
  Index size = 0;  ///< scalars a piece

  /// Returns the share of tile number `tile` of those that read the present panel.
  [[nodiscard]] Ahead share(Index tile) const {
    const Index begin = tile * steps * line;
    return data == nullptr || begin >= size ? Ahead{} : Ahead{data + begin, steps, stride, size};
  }
};

/// The two packed sides of a product as a tile reads them: element k of all its rows side by side
/// at left + k * rows, row k of the right side at right + k * right_stride, in packets.
template <class T>
struct Operands {
  const T* left;
  const T* right;
  Index right_stride;
  Index depth;
  Ahead<T> ahead = {};
};

/// The last step of a tile, taken before its sums leave the registers, and the place they go to:
///
///     c(i, j) = start(i, j) + scale(j) sums(i, j) + low_rank(i, j)
///
/// Rows of c have `columns` elements and lie `stride` scalars apart. `start` is c itself, or one
/// row for all of c (start_stride = 0). `scale` is a row of whole packets. `low_rank` is a product
/// of its own, such as a LoRA layer's s x A^T times B^T: adding it here saves writing and reading c
/// once more. Its depth may be 0.
template <class T>
struct Epilogue {
  T* c;
  Index stride;
  Index columns;
  const T* scale;
  const T* start;
  Index start_stride;
  Operands<T> low_rank = {nullptr, nullptr, 0, 0};
};

}  // namespace lora::kernels
