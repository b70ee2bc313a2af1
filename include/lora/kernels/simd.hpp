#pragma once

#include <Eigen/Core>
#include <type_traits>
#include <utility>

#include "lora/core/matrix.hpp"

namespace lora::kernels {

/// Describes the widest vector register that the compiler may use for T, through Eigen's packets:
/// the same kernels compile to AVX-512, AVX2, SSE, NEON, and to plain scalars where T has none.
template <class T>
struct Simd {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  /// Scalars in a packet.
  static constexpr Index width = Eigen::internal::unpacket_traits<Packet>::size;
  /// Registers that hold packets.
  static constexpr Index registers = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS;
};

/// Says what part of a product stays in registers: a tile of `rows` x `columns` results. Its sums,
/// one row of packets of the right side and one broadcast number fit the registers: 24 + 3 + 1 of
/// 32, or 12 + 3 + 1 of 16.
template <class T>
struct TileShape {
  static constexpr Index rows = Simd<T>::registers >= 32 ? 8 : 4;
  static constexpr Index vectors = 3;
  static constexpr Index columns = vectors * Simd<T>::width;
};

/// Calls body(0), ..., body(Count - 1) with numbers that are known to the compiler, so that arrays
/// indexed by them stay in registers.
template <Index Count, class Body>
EIGEN_STRONG_INLINE void unroll(const Body& body) {
  [&]<Index... i>(std::integer_sequence<Index, i...>) {
    (body(std::integral_constant<Index, i>{}), ...);
  }
  (std::make_integer_sequence<Index, Count>{});
}

/// Rounds `size` up to a whole number of `step`s.
[[nodiscard]] constexpr Index round_up(Index size, Index step) {
  return (size + step - 1) / step * step;
}

}  // namespace lora::kernels
