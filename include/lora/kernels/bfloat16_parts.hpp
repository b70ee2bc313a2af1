#pragma once

#include <bit>
#include <cstdint>

#include "lora/core/matrix.hpp"
#include "lora/kernels/half_bits.hpp"

namespace lora::kernels {

/// A float as the sum of two bfloat16, `high` the nearest one: off by at most 2^-17 of it, and by
/// nothing for infinity and NaN, whose `low` is zero.
struct BFloat16Parts {
  std::uint16_t high;  ///< bits of the nearest
  std::uint16_t low;   ///< bits nearest to what that leaves

  /// Splits `value`. A finite one has finite parts: one that is nearest to infinity is cut.
  [[nodiscard]] static BFloat16Parts of(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
    // No branches, so that compilers make vectors of it.
    const std::uint32_t nearest = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
    const std::uint32_t cut = bits >> 16 | (magnitude > 0x7F800000U ? 0x40U : 0U);
    const std::uint32_t high = magnitude < 0x7F7F8000U ? nearest : cut;
    const float rest = value - std::bit_cast<float>(high << 16);
    const auto rest_bits = std::bit_cast<std::uint32_t>(rest);
    const std::uint32_t rounded = (rest_bits + 0x7FFFU + ((rest_bits >> 16) & 1U)) >> 16;
    const std::uint32_t low = magnitude < 0x7F800000U ? rounded : 0U;
    return {static_cast<std::uint16_t>(high), static_cast<std::uint16_t>(low)};
  }
};

}  // namespace lora::kernels
