#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "lora/core/finite.hpp"
#include "lora/kernels/half_bits.hpp"

namespace lora::kernels {

/// The block formats of ggml that hold `weights` numbers in `bytes` bytes. Each has
///
///     decode(in, out)    in: one block, out: its numbers, the bits that llama.cpp gets
///
/// and those that files are written in
///
///     encode(in, out)    the bits that gguf-py 0.19 writes for finite numbers
///
/// d and m are halves in front of the codes; code i of a block with 16 bytes of them is the low
/// half of byte i, or the high half of byte i - 16.
struct BlockQ8_0 {
  static constexpr int weights = 32, bytes = 34;

  /// Computes d q.
  static void decode(const std::uint8_t* in, float* out) {
    const float d = half_at(in);
    for (int i = 0; i < 32; ++i)
      out[i] = d * static_cast<float>(static_cast<std::int8_t>(in[2 + i]));
  }

  static void encode(const float* in, std::uint8_t* out) {
    float largest = 0;
    for (int i = 0; i < 32; ++i) largest = std::max(largest, std::abs(in[i]));
    const float d = largest / 127, inverse = d == 0 ? 0 : 1 / d;
    // A d whose reciprocal is no float is a zero as a half.
    if (!is_finite(inverse)) {
      std::fill_n(out, bytes, std::uint8_t{0});
      return store(out, half_of_float(d));
    }
    store(out, half_of_float(d));
    for (int i = 0; i < 32; ++i)
      out[2 + i] = static_cast<std::uint8_t>(static_cast<std::int8_t>(std::round(in[i] * inverse)));
  }
};

namespace detail {

[[nodiscard]] inline int low_code(const std::uint8_t* codes, int i) { return codes[i] & 15; }
[[nodiscard]] inline int high_code(const std::uint8_t* codes, int i) { return codes[i] >> 4; }

// Packs 32 codes of 4 bits.
inline void pack_codes(const std::array<int, 32>& codes, std::uint8_t* out) {
  for (std::size_t i = 0; i < 16; ++i)
    out[i] = static_cast<std::uint8_t>((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}

// Returns the fifth bits of 32 codes.
[[nodiscard]] inline std::uint32_t fifth_bits(const std::array<int, 32>& codes) {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < 32; ++i) bits |= static_cast<std::uint32_t>(codes[i] >> 4 & 1) << i;
  return bits;
}

// Codes of a block whose grid has its zero in the middle: d = x / -half for the x of largest
// magnitude, the first of equal ones.
inline float centred_codes(const float* in, int half, std::array<int, 32>& codes) {
  float extreme = 0;
  for (int i = 0; i < 32; ++i)
    if (std::abs(in[i]) > std::abs(extreme)) extreme = in[i];
  const float d = extreme / static_cast<float>(-half), inverse = d == 0 ? 0 : 1 / d;
  codes.fill(0);
  if (!is_finite(inverse)) return d;  // a zero as a half
  for (std::size_t i = 0; i < 32; ++i)
    codes[i] = std::clamp(static_cast<int>(in[i] * inverse + (static_cast<float>(half) + 0.5F)), 0,
                          2 * half - 1);
  return d;
}

struct Range {
  float d, least;
};

// Codes of a block whose grid begins at its least number.
inline Range ranged_codes(const float* in, int most, std::array<int, 32>& codes) {
  const float least = *std::min_element(in, in + 32), largest = *std::max_element(in, in + 32);
  const float d = (largest - least) / static_cast<float>(most), inverse = d == 0 ? 0 : 1 / d;
  codes.fill(0);
  if (!is_finite(inverse)) return {d, least};  // d is a zero as a half
  for (std::size_t i = 0; i < 32; ++i) {
    // Halves go up, as in ggml.
    const float shifted = (in[i] - least) * inverse + 0.5F;
    codes[i] = std::clamp(static_cast<int>(shifted), 0, most);
  }
  return {d, least};
}

}  // namespace detail

/// d (n - 8), n of 4 bits.
struct BlockQ4_0 {
  static constexpr int weights = 32, bytes = 18;

  static void decode(const std::uint8_t* in, float* out) {
    const float d = half_at(in);
    for (int i = 0; i < 16; ++i) {
      out[i] = d * static_cast<float>(detail::low_code(in + 2, i) - 8);
      out[i + 16] = d * static_cast<float>(detail::high_code(in + 2, i) - 8);
    }
  }

  static void encode(const float* in, std::uint8_t* out) {
    std::array<int, 32> codes;
    store(out, half_of_float(detail::centred_codes(in, 8, codes)));
    detail::pack_codes(codes, out + 2);
  }
};

/// d n + m, n of 4 bits.
struct BlockQ4_1 {
  static constexpr int weights = 32, bytes = 20;

  static void decode(const std::uint8_t* in, float* out) {
    const float d = half_at(in);
    const float m = half_at(in + 2);
    for (int i = 0; i < 16; ++i) {
      out[i] = d * static_cast<float>(detail::low_code(in + 4, i)) + m;
      out[i + 16] = d * static_cast<float>(detail::high_code(in + 4, i)) + m;
    }
  }

  static void encode(const float* in, std::uint8_t* out) {
    std::array<int, 32> codes;
    const auto [d, least] = detail::ranged_codes(in, 15, codes);
    store(out, half_of_float(d));
    store(out + 2, half_of_float(least));
    detail::pack_codes(codes, out + 4);
  }
};

/// d (n - 16), n of 5 bits: the fifth ones in front.
struct BlockQ5_0 {
  static constexpr int weights = 32, bytes = 22;

  static void decode(const std::uint8_t* in, float* out) {
    const float d = half_at(in);
    const auto high = load<std::uint32_t>(in + 2);
    for (int i = 0; i < 16; ++i) {
      const int low_bit = static_cast<int>(high >> i & 1U) << 4;
      const int high_bit = static_cast<int>(high >> (i + 16) & 1U) << 4;
      out[i] = d * static_cast<float>((detail::low_code(in + 6, i) | low_bit) - 16);
      out[i + 16] = d * static_cast<float>((detail::high_code(in + 6, i) | high_bit) - 16);
    }
  }

  static void encode(const float* in, std::uint8_t* out) {
    std::array<int, 32> codes;
    store(out, half_of_float(detail::centred_codes(in, 16, codes)));
    store(out + 2, detail::fifth_bits(codes));
    detail::pack_codes(codes, out + 6);
  }
};

/// d n + m, n of 5 bits.
struct BlockQ5_1 {
  static constexpr int weights = 32, bytes = 24;

  static void decode(const std::uint8_t* in, float* out) {
    const float d = half_at(in);
    const float m = half_at(in + 2);
    const auto high = load<std::uint32_t>(in + 4);
    for (int i = 0; i < 16; ++i) {
      const int low_bit = static_cast<int>(high >> i & 1U) << 4;
      const int high_bit = static_cast<int>(high >> (i + 16) & 1U) << 4;
      out[i] = d * static_cast<float>(detail::low_code(in + 8, i) | low_bit) + m;
      out[i + 16] = d * static_cast<float>(detail::high_code(in + 8, i) | high_bit) + m;
    }
  }

  static void encode(const float* in, std::uint8_t* out) {
    std::array<int, 32> codes;
    const auto [d, least] = detail::ranged_codes(in, 31, codes);
    store(out, half_of_float(d));
    store(out + 2, half_of_float(least));
    store(out + 4, detail::fifth_bits(codes));
    detail::pack_codes(codes, out + 8);
  }
};

}  // namespace lora::kernels
