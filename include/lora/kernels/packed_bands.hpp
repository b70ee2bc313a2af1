#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/left_source.hpp"
#include "lora/kernels/packed_left.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

/// Returns the rows of a left side that are packed at a time: what is packed stays within some
/// megabytes.
[[nodiscard]] inline Index rows_at_once(Index depth) {
  constexpr Index packed = Index{1} << 22;
  return round_up(std::max(Index{256}, packed / std::max<Index>(depth, 1)), Index{64});
}

/// Packs a left side `step` rows at a time, and calls use(packed, first row) for each band.
template <class T, class Source, class Use>
requires LeftSource<Source, T>
void for_each_packed_band(const Source& left, Index step, const Use& use) {
  const Index rows = left.rows();
  Scratch scratch;
  T* const memory = scratch.take<T>(packed_left_size(std::min(step, rows), left.depth()));
  for (Index row = 0; row < rows; row += step)
    use(pack_left<T>(left, row, std::min(step, rows - row), memory), row);
}

/// Does the same with rows_at_once.
template <class T, class Source, class Use>
requires LeftSource<Source, T>
void for_each_packed_band(const Source& left, const Use& use) {
  for_each_packed_band<T>(left, rows_at_once(left.depth()), use);
}

/// Packs a row-major left side so.
template <class T, class Use>
void for_each_packed_band(ConstMatrixRef<T> left, const Use& use) {
  for_each_packed_band<T>(MatrixRows<T>(left), use);
}

}  // namespace lora::kernels
