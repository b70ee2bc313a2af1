#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace lora::kernels {

/// Returns the float of an IEEE half's bits: every half is a float.
[[nodiscard]] inline float float_of_half(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1FU, mantissa = bits & 0x3FFU;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | mantissa << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
  // Below the smallest normal half: mantissa * 2^-24, which a float holds as a normal number.
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

/// Returns the float of a bfloat16's bits.
[[nodiscard]] inline float float_of_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Returns the bits of the half nearest to `value`, ties to even; too large a number becomes
/// infinite, NaN stays one.
[[nodiscard]] inline std::uint16_t half_of_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<std::uint16_t>(sign | 0x7E00U);
  if (magnitude >= 0x477FF000U) return static_cast<std::uint16_t>(sign | 0x7C00U);
  if (magnitude < 0x38800000U) {
    // Adding 2^-1 * 2^-24 * 2^24 lets the float's own rounding cut to multiples of 2^-24.
    const float sum = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(sum) - 0x3F000000U));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1U;
  return static_cast<std::uint16_t>(sign | ((magnitude + 0xFFFU + odd - 0x38000000U) >> 13));
}

/// Returns the bits of the bfloat16 nearest to `value`, ties to even; NaN becomes a quiet one.
[[nodiscard]] inline std::uint16_t bfloat16_of_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

/// Reads a number of type N at an address of any alignment.
template <class N>
[[nodiscard]] N load(const void* at) {
  N number;
  std::memcpy(&number, at, sizeof(N));
  return number;
}

/// Writes a number to an address of any alignment.
template <class N>
void store(void* at, N number) {
  std::memcpy(at, &number, sizeof(N));
}

/// Returns the float of a half at an address of any alignment.
[[nodiscard]] inline float half_at(const void* at) {
#if defined(__F16C__)
  return _cvtsh_ss(load<std::uint16_t>(at));
#else
  return float_of_half(load<std::uint16_t>(at));
#endif
}

}  // namespace lora::kernels
