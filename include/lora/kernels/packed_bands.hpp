#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/packed_left.hpp"
#include "lora/kernels/simd.hpp"

namespace lora::kernels {

/// Returns the rows of a left side that are packed at a time: what is packed stays within some
/// megabytes.
[[nodiscard]] inline Index rows_at_once(Index depth) {
  constexpr Index packed = Index{1} << 22;
  return round_up(std::max(Index{256}, packed / std::max<Index>(depth, 1)), Index{64});
}

/// Packs a left side (rows, depth), given as `rows` strips, a band of rows at a time, and calls
/// use(packed, first row) for each.
template <class T, class Use>
void for_each_packed_band(const Strips<T>& left, Index rows, Index depth, const Use& use) {
  const Index step = rows_at_once(depth);
  Scratch scratch;
  T* const memory = scratch.take<T>(packed_left_size(std::min(step, rows), depth));
  for (Index row = 0; row < rows; row += step) {
    const Strips<T> strips{left.at(row, 0), left.across, left.along};
    use(pack_left<T>(strips, std::min(step, rows - row), depth, memory), row);
  }
}

/// Does the same for a row-major left side.
template <class T, class Use>
void for_each_packed_band(ConstMatrixRef<T> left, const Use& use) {
  const Strips<T> strips{left.data(), left.outerStride(), 1};
  for_each_packed_band<T>(strips, left.rows(), left.cols(), use);
}

}  // namespace lora::kernels
