#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lora/core/matrix.hpp"

/// The codes of four bits of bitsandbytes 0.50: 16 numbers from -1 to 1, which a scale for each
/// block of weights multiplies. A format has
///
///     values     the number that each code stands for
///     by_value   the codes in the order of their values
namespace lora::kernels {

/// NormalFloat, the quantiles of a normal distribution (QLoRA, arXiv 2305.14314).
struct NF4 {
  static constexpr const char* name = "nf4";
  static constexpr std::array<float, 16> values{
      -0x1p+0F,        -0x1.647362p-1F, -0x1.0cd66p-1F,  -0x1.94654p-2F,
      -0x1.23449ap-2F, -0x1.7a6a7ep-3F, -0x1.74f0e2p-4F, 0.0F,
      0x1.45f5fep-4F,  0x1.4995c6p-3F,  0x1.f809bap-3F,  0x1.5a0674p-2F,
      0x1.c3497p-2F,   0x1.200f56p-1F,  0x1.722766p-1F,  1.0F};
  static constexpr std::array<std::uint8_t, 16> by_value{0, 1, 2,  3,  4,  5,  6,  7,
                                                         8, 9, 10, 11, 12, 13, 14, 15};
};

/// Four bits of floating point: a sign, two bits of exponent, one of mantissa. Code 8 is a zero
/// too.
struct FP4 {
  static constexpr const char* name = "fp4";
  static constexpr std::array<float, 16> values{0.0F,
                                                0x1.555556p-8F,
                                                0x1.555556p-1F,
                                                1.0F,
                                                0x1.555556p-2F,
                                                0.5F,
                                                0x1.555556p-3F,
                                                0.25F,
                                                -0.0F,
                                                -0x1.555556p-8F,
                                                -0x1.555556p-1F,
                                                -1.0F,
                                                -0x1.555556p-2F,
                                                -0.5F,
                                                -0x1.555556p-3F,
                                                -0.25F};
  static constexpr std::array<std::uint8_t, 16> by_value{11, 10, 13, 12, 15, 14, 9, 0,
                                                         8,  1,  6,  7,  4,  5,  2, 3};
};

/// Tells whether bitsandbytes has blocks of that many weights: a power of two from 32 to 4096.
[[nodiscard]] constexpr bool is_four_bit_block(Index size) {
  return size >= 32 && size <= 4096 && std::has_single_bit(static_cast<std::uint64_t>(size));
}

/// The least number that a block's largest is divided by: of a block of zeros.
inline constexpr float four_bit_least_scale = 1e-38F;

/// Returns the code nearest to `value`, in [-1, 1]; half-way between two it is the lower.
template <class Format>
[[nodiscard]] std::uint8_t four_bit_code(float value) {
  std::size_t below = 0;
  for (std::size_t i = 0; i < 15; ++i) {
    const float low = Format::values[Format::by_value[i]];
    const float high = Format::values[Format::by_value[i + 1]];
    below += (low + high) / 2 < value ? 1 : 0;
  }
  return Format::by_value[below];
}

/// Writes the codes of a block's numbers, one a byte, and returns its scale, the largest magnitude:
/// bitsandbytes' quantize_4bit. `whole` is false for a last block that is shorter than the others,
/// in which numbers are divided and the least scale is stored.
template <class Format>
float encode_four_bit(std::span<const float> numbers, bool whole, std::uint8_t* codes) {
  float largest = 0;
  for (const float number : numbers) largest = std::max(largest, std::abs(number));
  const float scale = std::max(largest, four_bit_least_scale);
  const float inverse = 1 / scale;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const float scaled = whole ? numbers[i] * inverse : numbers[i] / scale;
    codes[i] = four_bit_code<Format>(std::clamp(scaled, -1.0F, 1.0F));
  }
  return whole ? largest : scale;
}

}  // namespace lora::kernels
