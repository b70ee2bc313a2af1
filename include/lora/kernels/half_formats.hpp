#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "lora/core/packets.hpp"
#include "lora/kernels/half_bits.hpp"

/// Numbers of 16 bits as they lie in memory, and the packets of floats that they stand for: every
/// one of them is a float, to the bit.
namespace lora::kernels {

namespace detail {

template <class T, class Format>
[[nodiscard]] EIGEN_ALWAYS_INLINE Packet<T> widen_one_by_one(const void* in) {
  std::array<T, static_cast<std::size_t>(Simd<T>::width)> wide;
  const auto* bytes = static_cast<const std::uint8_t*>(in);
  for (std::size_t i = 0; i < wide.size(); ++i)
    wide[i] = static_cast<T>(Format::widen(load<std::uint16_t>(bytes + 2 * i)));
  return Eigen::internal::ploadu<Packet<T>>(wide.data());
}

}  // namespace detail

/// bfloat16: a float's sign, exponent and first seven bits of the mantissa.
struct BFloat16Format {
  static constexpr const char* name = "bfloat16";
  static constexpr std::uint16_t largest = 0x7F7F;  ///< the bits of 3.39e38

  [[nodiscard]] static float widen(std::uint16_t bits) { return float_of_bfloat16(bits); }
  [[nodiscard]] static std::uint16_t narrow(float value) { return bfloat16_of_float(value); }

  /// Returns the floats of Simd<float>::width numbers at an address of any alignment.
  [[nodiscard]] static EIGEN_ALWAYS_INLINE Packet<float> packet(const void* in) {
#if defined(EIGEN_VECTORIZE_AVX512)
    const __m256i bits = _mm256_loadu_si256(static_cast<const __m256i*>(in));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
#elif defined(EIGEN_VECTORIZE_AVX2)
    const __m128i bits = _mm_loadu_si128(static_cast<const __m128i*>(in));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
#else
    return detail::widen_one_by_one<float, BFloat16Format>(in);
#endif
  }
};

/// IEEE half precision, float16: eleven bits of precision up to 65504.
struct Float16Format {
  static constexpr const char* name = "float16";
  static constexpr std::uint16_t largest = 0x7BFF;  ///< the bits of 65504

  [[nodiscard]] static float widen(std::uint16_t bits) { return float_of_half(bits); }
  [[nodiscard]] static std::uint16_t narrow(float value) { return half_of_float(value); }

  /// Returns the floats of Simd<float>::width numbers at an address of any alignment.
  [[nodiscard]] static EIGEN_ALWAYS_INLINE Packet<float> packet(const void* in) {
#if defined(EIGEN_VECTORIZE_AVX512)
    return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(in)));
#elif defined(EIGEN_VECTORIZE_AVX) && defined(__F16C__)
    return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(in)));
#else
    return detail::widen_one_by_one<float, Float16Format>(in);
#endif
  }
};

/// Returns the packet of T that Simd<T>::width numbers stand for.
template <class T, class Format>
[[nodiscard]] EIGEN_ALWAYS_INLINE Packet<T> widen_packet(const void* in) {
  if constexpr (std::is_same_v<T, float>)
    return Format::packet(in);
  else
    return detail::widen_one_by_one<T, Format>(in);
}

/// Writes the numbers that `count` of them stand for, a whole number of packets, to `out`.
template <class T, class Format>
void widen(const std::uint16_t* in, Index count, T* out) {
  for (Index i = 0; i < count; i += Simd<T>::width)
    Eigen::internal::pstoreu(out + i, widen_packet<T, Format>(in + i));
}

}  // namespace lora::kernels
