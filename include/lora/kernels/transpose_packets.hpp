#pragma once

#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

namespace detail {

// Exchanges the off-diagonal blocks of Half x Half lanes in every square of 2 Half of a and b: lane
// i of a is row 0 of such a square where i % (2 Half) < Half.
template <Index Half, Index Size, class P>
EIGEN_ALWAYS_INLINE void exchange_blocks(P& a, P& b) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    constexpr int half = int(Half), size = int(Size);
    const P upper = __builtin_shufflevector(a, b, (i % (2 * half) < half ? i : size + i - half)...);
    b = __builtin_shufflevector(a, b, (i % (2 * half) < half ? i + half : size + i)...);
    a = upper;
  }
  (std::make_integer_sequence<int, int(Size)>{});
}

template <Index Half, Index Size, class P>
EIGEN_ALWAYS_INLINE void transpose_blocks(P (&rows)[Size]) {
  unroll<Size / 2>([&](Index i) __attribute__((always_inline)) {
    const Index row = i / Half * 2 * Half + i % Half;
    exchange_blocks<Half, Size>(rows[row], rows[row + Half]);
  });
  if constexpr (Half > 1) transpose_blocks<Half / 2, Size>(rows);
}

}  // namespace detail

/// Transposes the square whose rows are `rows`, packets of Size lanes, in registers: log2(Size)
/// rounds of Size shuffles. Eigen's ptranspose takes twice as many for 16 lanes.
template <Index Size, class P>
EIGEN_ALWAYS_INLINE void transpose_packets(P (&rows)[Size]) {
#if __has_builtin(__builtin_shufflevector)
  detail::transpose_blocks<Size / 2, Size>(rows);
#else  // GCC 11
  Eigen::internal::PacketBlock<P, int(Size)> block;
  unroll<Size>([&](Index i) __attribute__((always_inline)) { block.packet[i] = rows[i]; });
  Eigen::internal::ptranspose(block);
  unroll<Size>([&](Index i) __attribute__((always_inline)) { rows[i] = block.packet[i]; });
#endif
}

}  // namespace lora::kernels
