#pragma once

#include "lora/core/matrix.hpp"
#include "lora/kernels/ahead.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

/// The two packed sides of a product as a tile reads them: element k of all its rows side by side
/// at left + k * rows, row k of the right side at right + k * right_stride, in packets.
template <class T>
struct Operands {
  const T* left;
  const T* right;
  Index right_stride;
  Index depth;
  Ahead<T> ahead = {};  ///< what to ask memory for meanwhile
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
