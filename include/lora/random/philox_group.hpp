#pragma once

#include <array>
#include <cstdint>

#include "lora/random/philox.hpp"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace lora {

/// Counters whose words `philox_group` computes together, and the words that they give.
inline constexpr std::size_t philox_group_counters = 8;
inline constexpr std::size_t philox_group_words = 4 * philox_group_counters;

/// Computes the words of eight neighbouring counters (index, step), index = 8 group ... 8 group +
/// 7, as `Random::words` would: word w of counter 8 group + c lands in element 8 w + c.
inline void philox_group(std::uint64_t group, std::uint64_t step, std::array<std::uint32_t, 2> key,
                         std::array<std::uint32_t, philox_group_words>& words) {
  const std::uint64_t first = group * philox_group_counters;
#ifdef __AVX2__
  // Compilers do not see that a 32 x 32 bit product suffices, which makes this 4 times as fast as
  // what they make of the loop below. Each 64-bit lane holds one counter's word in its lower half;
  // the upper halves hold leftovers that no instruction reads. The order of the counters in the
  // two vectors is the one that the shuffle at the end undoes.
  const __m256i m0 = _mm256_set1_epi64x(0xD2511F53), m1 = _mm256_set1_epi64x(0xCD9E8D57);
  const __m256i base = _mm256_set1_epi64x(static_cast<std::int64_t>(first));
  const __m256i step_low = _mm256_set1_epi64x(static_cast<std::int64_t>(step));
  const __m256i step_high = _mm256_set1_epi64x(static_cast<std::int64_t>(step >> 32));
  __m256i c0[2] = {_mm256_add_epi64(base, _mm256_setr_epi64x(0, 1, 4, 5)),
                   _mm256_add_epi64(base, _mm256_setr_epi64x(2, 3, 6, 7))};
  __m256i c1[2] = {_mm256_srli_epi64(c0[0], 32), _mm256_srli_epi64(c0[1], 32)};
  __m256i c2[2] = {step_low, step_low};
  __m256i c3[2] = {step_high, step_high};
  for (int round = 0; round < 10; ++round) {
    const __m256i k0 = _mm256_set1_epi64x(key[0]), k1 = _mm256_set1_epi64x(key[1]);
    for (int half = 0; half < 2; ++half) {
      const __m256i p0 = _mm256_mul_epu32(m0, c0[half]);
      const __m256i p1 = _mm256_mul_epu32(m1, c2[half]);
      c0[half] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), c1[half]), k0);
      c1[half] = p1;
      c2[half] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), c3[half]), k1);
      c3[half] = p0;
    }
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  const auto store = [&words](std::size_t word, const __m256i(&c)[2]) {
    const __m256 low_halves =
        _mm256_shuffle_ps(_mm256_castsi256_ps(c[0]), _mm256_castsi256_ps(c[1]), 0x88);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(words.data() + 8 * word),
                        _mm256_castps_si256(low_halves));
  };
  store(0, c0);
  store(1, c1);
  store(2, c2);
  store(3, c3);
#else
  for (std::size_t c = 0; c < philox_group_counters; ++c) {
    const std::uint64_t index = first + c;
    const auto four =
        philox4x32_10({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                       static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32)},
                      key);
    for (std::size_t w = 0; w < 4; ++w) words[8 * w + c] = four[w];
  }
#endif
}

}  // namespace lora
