#pragma once

#include <cstddef>
#include <cstdint>

#include "lora/kernels/quantised_blocks.hpp"

/// The formats of ggml whose blocks of 256 numbers have scales of their own inside of them, as the
/// smaller ones of quantised_blocks.hpp. They are read and not written.
namespace lora::kernels {

namespace detail {

// What a code of some numbers is multiplied by, and what is taken off.
struct ScaleAndLeast {
  float scale, least;
};

// Those of numbers 32 j to 32 j + 31 of a block that begins with d and dmin, halves, and eight
// pairs s_j, m_j of 6 bits each in 12 bytes: d s_j and dmin m_j, which floats hold to the bit.
[[nodiscard]] inline ScaleAndLeast scale_and_least(const std::uint8_t* block, int j) {
  const float d = half_at(block), dmin = half_at(block + 2);
  const std::uint8_t* const s = block + 4;
  if (j < 4) return {d * static_cast<float>(s[j] & 63), dmin * static_cast<float>(s[j + 4] & 63)};
  return {d * static_cast<float>((s[j + 4] & 15) | (s[j - 4] >> 6) << 4),
          dmin * static_cast<float>((s[j + 4] >> 4) | (s[j] >> 6) << 4)};
}

// Decodes such a block, whose codes have their low four bits at `codes`, 32 low halves of bytes
// before 32 high ones, and what else they have from high_bits(i, j).
template <class HighBits>
void decode_super_block(const std::uint8_t* in, const std::uint8_t* codes,
                        const HighBits& high_bits, float* out) {
  for (int j = 0; j < 8; ++j) {
    const auto [scale, least] = scale_and_least(in, j);
    const std::uint8_t* const low = codes + std::ptrdiff_t{32} * (j / 2);
    for (int i = 0; i < 32; ++i) {
      const int n = j % 2 == 0 ? low_code(low, i) : high_code(low, i);
      out[32 * j + i] = scale * static_cast<float>(n | high_bits(i, j)) - least;
    }
  }
}

}  // namespace detail

/// (d s_j) n - (dmin m_j), n of 4 bits, j = i / 32.
struct BlockQ4_K {
  static constexpr int weights = 256, bytes = 144;

  static void decode(const std::uint8_t* in, float* out) {
    detail::decode_super_block(
        in, in + 16, [](int, int) { return 0; }, out);
  }
};

/// The same with codes of 5 bits.
struct BlockQ5_K {
  static constexpr int weights = 256, bytes = 176;

  static void decode(const std::uint8_t* in, float* out) {
    const std::uint8_t* const high = in + 16;
    detail::decode_super_block(
        in, in + 48, [&](int i, int j) { return (high[i] >> j & 1) << 4; }, out);
  }
};

/// (d s_j) (n - 32), n of 6 bits, j = i / 16.
struct BlockQ6_K {
  static constexpr int weights = 256, bytes = 210;

  static void decode(const std::uint8_t* in, float* out) {
    const float d = half_at(in + 208);
    for (int i = 0; i < 256; ++i) {
      const int half = i / 128, group = i % 128 / 32, lane = i % 32;
      const int low = in[64 * half + 32 * (group % 2) + lane] >> (4 * (group / 2)) & 15;
      const int high = in[128 + 32 * half + lane] >> (2 * group) & 3;
      const auto scale = static_cast<float>(static_cast<std::int8_t>(in[192 + i / 16]));
      out[i] = d * scale * static_cast<float>((low | high << 4) - 32);
    }
  }
};

}  // namespace lora::kernels
