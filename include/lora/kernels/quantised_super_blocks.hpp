#pragma once

#include <cstddef>
#include <cstdint>

#include "lora/kernels/quantised_blocks.hpp"

/// The formats of ggml whose blocks of 256 numbers have scales of their own inside of them, as the
/// smaller ones of quantised_blocks.hpp. They are read and not written.
namespace lora::kernels {

namespace detail {

struct ScaleAndLeast {
  float scale, least;
};

// Scale j of the eight of a block of 256, and what is taken off, each of 6 bits in 12 bytes.
[[nodiscard]] inline ScaleAndLeast scale_and_least(const std::uint8_t* s, int j) {
  if (j < 4) return {static_cast<float>(s[j] & 63), static_cast<float>(s[j + 4] & 63)};
  return {static_cast<float>((s[j + 4] & 15) | (s[j - 4] >> 6) << 4),
          static_cast<float>((s[j + 4] >> 4) | (s[j] >> 6) << 4)};
}

}  // namespace detail

/// (d s_j) n - (dmin m_j), n of 4 bits, j = i / 32.
struct BlockQ4_K {
  static constexpr int weights = 256, bytes = 144;

  static void decode(const std::uint8_t* in, float* out) {
    const float d = float_of_half(load<std::uint16_t>(in));
    const float dmin = float_of_half(load<std::uint16_t>(in + 2));
    for (int j = 0; j < 8; ++j) {
      const auto [scale, least] = detail::scale_and_least(in + 4, j);
      const float a = d * scale, b = dmin * least;
      const std::uint8_t* codes = in + 16 + std::ptrdiff_t{32} * (j / 2);
      for (int i = 0; i < 32; ++i) {
        const int n = j % 2 == 0 ? detail::low_code(codes, i) : detail::high_code(codes, i);
        out[32 * j + i] = a * static_cast<float>(n) - b;
      }
    }
  }
};

/// The same with codes of 5 bits.
struct BlockQ5_K {
  static constexpr int weights = 256, bytes = 176;

  static void decode(const std::uint8_t* in, float* out) {
    const float d = float_of_half(load<std::uint16_t>(in));
    const float dmin = float_of_half(load<std::uint16_t>(in + 2));
    for (int j = 0; j < 8; ++j) {
      const auto [scale, least] = detail::scale_and_least(in + 4, j);
      const float a = d * scale, b = dmin * least;
      const std::uint8_t* high = in + 16;
      const std::uint8_t* codes = in + 48 + std::ptrdiff_t{32} * (j / 2);
      for (int i = 0; i < 32; ++i) {
        const int n = j % 2 == 0 ? detail::low_code(codes, i) : detail::high_code(codes, i);
        out[32 * j + i] = a * static_cast<float>(n | (high[i] >> j & 1) << 4) - b;
      }
    }
  }
};

/// (d s_j) (n - 32), n of 6 bits, j = i / 16.
struct BlockQ6_K {
  static constexpr int weights = 256, bytes = 210;

  static void decode(const std::uint8_t* in, float* out) {
    const float d = float_of_half(load<std::uint16_t>(in + 208));
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
