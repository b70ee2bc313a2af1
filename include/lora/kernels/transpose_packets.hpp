#pragma once

#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

#if __has_builtin(__builtin_shufflevector)

namespace detail {

// Takes a and b for rows of blocks, each Half lanes wide, and exchanges the second of every two
// blocks of a with the first of b's.
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

// Transposes squares of 2 Half x 2 Half lanes as squares of blocks, then these blocks.
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
/// rounds of Size shuffles. For 16 lanes these are 64, where Eigen's ptranspose takes 96 (Eigen
/// 3.4, GCC 12).
template <Index Size, class P>
EIGEN_ALWAYS_INLINE void transpose_packets(P (&rows)[Size]) {
  detail::transpose_blocks<Size / 2, Size>(rows);
}

#else  // GCC 11

/// Transposes the square whose rows are `rows`, packets of Size lanes, in registers.
template <Index Size, class P>
EIGEN_ALWAYS_INLINE void transpose_packets(P (&rows)[Size]) {
  Eigen::internal::PacketBlock<P, int(Size)> block;
  unroll<Size>([&](Index i) __attribute__((always_inline)) { block.packet[i] = rows[i]; });
  Eigen::internal::ptranspose(block);
  unroll<Size>([&](Index i) __attribute__((always_inline)) { rows[i] = block.packet[i]; });
}

#endif

}  // namespace lora::kernels
