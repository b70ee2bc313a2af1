#pragma once

#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"

namespace lora::kernels {

/// The part of a product that stays in registers: a tile of `rows` x `columns` results. Its sums,
/// one row of packets of the right side and one broadcast number fit the registers: 24 + 3 + 1 of
/// 32, or 12 + 3 + 1 of 16.
template <class T>
struct TileShape {
  static constexpr Index rows = Simd<T>::registers >= 32 ? 8 : 4;
  static constexpr Index vectors = 3;
  static constexpr Index columns = vectors * Simd<T>::width;
};

/// Calls body(0), ..., body(Count - 1). Inlined, each index is a number that the compiler knows, so
/// that arrays indexed by it stay in registers.
template <Index Count, class Body>
EIGEN_ALWAYS_INLINE void unroll(const Body& body) {
  [&]<Index... i>(std::integer_sequence<Index, i...>) __attribute__((always_inline)) {
    (body(i), ...);
  }
  (std::make_integer_sequence<Index, Count>{});
}

/// Rounds `size` up to a whole number of `step`s.
[[nodiscard]] constexpr Index round_up(Index size, Index step) {
  return (size + step - 1) / step * step;
}

}  // namespace lora::kernels
