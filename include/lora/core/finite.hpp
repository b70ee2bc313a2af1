#pragma once

#include <bit>
#include <cstdint>

#include "lora/core/matrix.hpp"

namespace lora {

/// Tells whether `value` is neither infinite nor NaN, from its bits: unlike std::isfinite it keeps
/// its word under -ffast-math.
[[nodiscard]] constexpr bool is_finite(double value) {
  constexpr std::uint64_t exponent = 0x7FF0000000000000;
  return (std::bit_cast<std::uint64_t>(value) & exponent) != exponent;
}

/// Does the same for a float.
[[nodiscard]] constexpr bool is_finite(float value) {
  constexpr std::uint32_t exponent = 0x7F800000;
  return (std::bit_cast<std::uint32_t>(value) & exponent) != exponent;
}

/// Tells whether every element of `matrix` is finite, from their bits.
template <class T>
[[nodiscard]] bool all_finite(ConstMatrixRef<T> matrix) {
  for (Index i = 0; i < matrix.rows(); ++i)
    for (Index j = 0; j < matrix.cols(); ++j)
      if (!is_finite(matrix(i, j))) return false;
  return true;
}

}  // namespace lora
