#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "lora/core/packets.hpp"

/// Vectors of the codes of quantised weights and of the floats that they stand for, on any
/// processor for which the compiler has vectors of as many floats as Simd<float>::width.
namespace lora::kernels {

/// Weights that follow each other in a row and are decoded at a time: whatever the format, they
/// have one scale, or (Q6_K) two.
inline constexpr Index run_length = 32;

/// The floats of a vector, which divides run_length, and the vectors of a run.
inline constexpr Index run_width = std::clamp<Index>(Simd<float>::width, 4, 16);
inline constexpr Index run_vectors = run_length / run_width;

/// So many floats, and as many integers.
using RunVector [[gnu::vector_size(run_width * 4)]] = float;
using RunInts [[gnu::vector_size(run_width * 4)]] = std::int32_t;

/// Returns the vector of `value` alone.
[[nodiscard]] EIGEN_ALWAYS_INLINE RunVector run_vector(float value) {
  return value - RunVector{};  // which changes no value: a sum would make -0 a 0, and be computed
}

/// Loads a vector from any address.
[[nodiscard]] EIGEN_ALWAYS_INLINE RunVector load_run_vector(const float* from) {
  RunVector vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}

/// Stores a vector to any address.
EIGEN_ALWAYS_INLINE void store_run_vector(float* to, const RunVector& vector) {
  std::memcpy(to, &vector, sizeof(vector));
}

/// Returns the integers of run_width codes at any address: bytes with or without a sign, or 16 bits
/// without one.
template <class Code>
[[nodiscard]] EIGEN_ALWAYS_INLINE RunInts load_codes(const void* from) {
#if defined(EIGEN_VECTORIZE_AVX512)
  const auto* bytes = static_cast<const __m128i*>(from);
  if constexpr (sizeof(Code) == 2)
    return (RunInts)_mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
  else if constexpr (std::is_signed_v<Code>)
    return (RunInts)_mm512_cvtepi8_epi32(_mm_loadu_si128(bytes));
  else
    return (RunInts)_mm512_cvtepu8_epi32(_mm_loadu_si128(bytes));
#elif defined(EIGEN_VECTORIZE_AVX2)
  const auto* bytes = static_cast<const __m128i*>(from);
  if constexpr (sizeof(Code) == 2)
    return (RunInts)_mm256_cvtepu16_epi32(_mm_loadu_si128(bytes));
  else if constexpr (std::is_signed_v<Code>)
    return (RunInts)_mm256_cvtepi8_epi32(_mm_loadl_epi64(bytes));
  else
    return (RunInts)_mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes));
#else
  std::array<Code, static_cast<std::size_t>(run_width)> codes;
  std::memcpy(codes.data(), from, sizeof(codes));
  RunInts integers;
  // NOLINTNEXTLINE(bugprone-signed-char-misuse): a code with a sign keeps it.
  for (int i = 0; i < run_width; ++i) integers[i] = codes[static_cast<std::size_t>(i)];
  return integers;
#endif
}

/// Returns the floats that integers are.
[[nodiscard]] EIGEN_ALWAYS_INLINE RunVector floats_of(const RunInts& integers) {
  return __builtin_convertvector(integers, RunVector);
}

/// Returns 0, 1, 2 ... run_width - 1.
[[nodiscard]] EIGEN_ALWAYS_INLINE RunInts run_lanes() {
  RunInts lanes;
  for (int i = 0; i < run_width; ++i) lanes[i] = i;
  return lanes;
}

/// The sum of a vector's floats, in an order of its own.
[[nodiscard]] EIGEN_ALWAYS_INLINE float sum_of(const RunVector& vector) {
  if constexpr (run_width == Simd<float>::width) {
    Packet<float> packet;
    static_assert(sizeof(packet) == sizeof(vector));
    std::memcpy(&packet, &vector, sizeof(packet));
    return Eigen::internal::predux(packet);
  } else {
    float sum = 0;
    for (int i = 0; i < run_width; ++i) sum += vector[i];
    return sum;
  }
}

/// What 16 codes stand for, looked up in registers where the processor can.
class RunTable {
 public:
  /// Takes 16 values.
  explicit RunTable(const float* values) {
    // One by one: GCC would copy all of them in pieces, which the processor waits for.
    for (int i = 0; i < parts; ++i, values += run_width) values_[i] = load_run_vector(values);
  }

  /// Returns the table times `scale`: one rounding a value, as codes that are scaled one by one.
  [[nodiscard]] EIGEN_ALWAYS_INLINE RunTable scaled(float scale) const {
    RunTable table = *this;
    for (RunVector& part : table.values_) part *= scale;
    return table;
  }

  /// Returns scale * n + least for n = first ... first + 15.
  [[nodiscard]] static EIGEN_ALWAYS_INLINE RunTable ramp(int first, float scale, float least) {
    RunTable table;
    for (int i = 0; i < parts; ++i)
      table.values_[i] = scale * floats_of(run_lanes() + (first + i * int(run_width))) + least;
    return table;
  }

  /// The same without a least number: zero keeps the sign that a product gives it.
  [[nodiscard]] static EIGEN_ALWAYS_INLINE RunTable ramp(int first, float scale) {
    RunTable table;
    for (int i = 0; i < parts; ++i)
      table.values_[i] = scale * floats_of(run_lanes() + (first + i * int(run_width)));
    return table;
  }

  /// Returns the values of codes, of which the four low bits count.
  [[nodiscard]] EIGEN_ALWAYS_INLINE RunVector at(const RunInts& codes) const {
#if defined(EIGEN_VECTORIZE_AVX512)
    return (RunVector)_mm512_permutexvar_ps((__m512i)codes, (__m512)values_[0]);
#elif defined(EIGEN_VECTORIZE_AVX2)
    const __m256 low = _mm256_permutevar8x32_ps((__m256)values_[0], (__m256i)codes);
    const __m256 high = _mm256_permutevar8x32_ps((__m256)values_[1], (__m256i)codes);
    return (RunVector)_mm256_blendv_ps(low, high, (__m256)(codes << 28));
#else
    RunVector found;
    const auto* const values = reinterpret_cast<const float*>(values_);
    for (int i = 0; i < run_width; ++i) found[i] = values[codes[i] & 15];
    return found;
#endif
  }

 private:
  RunTable() = default;

  static constexpr int parts = 16 / int(run_width);
  RunVector values_[parts];
};

}  // namespace lora::kernels
