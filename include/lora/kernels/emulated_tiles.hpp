#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "lora/core/matrix.hpp"
#include "lora/kernels/half_bits.hpp"

namespace lora::kernels {

/// What AmxTiles is made of, in plain C++: eight tiles of 16 rows of 64 bytes, with the arithmetic
/// of Intel's TDPBF16PS to the bit (Software Developer's Manual, volume 2). It is far from fast; it
/// shows on any machine what a processor with tiles computes.
class EmulatedTiles {
 public:
  /// Tells that products are made of tiles at all.
  static constexpr bool built = true;

  /// Tells whether this processor has such tiles: every one has these.
  [[nodiscard]] static bool available() { return true; }

  /// Reads 16 rows of 64 bytes, `stride` bytes apart, into tile `Tile`.
  template <int Tile>
  void load(const void* from, Index stride) {
    const auto* at = static_cast<const std::byte*>(from);
    for (Row& row : rows_[Tile]) {
      std::memcpy(row.data(), at, row.size());
      at += stride;
    }
  }

  /// Writes tile `Tile` as 16 rows of 64 bytes, `stride` bytes apart.
  template <int Tile>
  void store(void* to, Index stride) const {
    auto* at = static_cast<std::byte*>(to);
    for (const Row& row : rows_[Tile]) {
      std::memcpy(at, row.data(), row.size());
      at += stride;
    }
  }

  /// Adds A B to tile `C` of floats: row m of tile `A` holds 16 pairs of bfloat16, row k of tile
  /// `B` the pair k of every column. Each sum is a chain of fused multiply-adds over the pairs'
  /// first numbers and one over the second, both from zero; then their sum; then C plus that.
  /// Denormal operands and results count as zeros.
  template <int C, int A, int B>
  void multiply() {
    std::array<std::array<float, 2 * side>, side> right;
    for (std::size_t k = 0; k < side; ++k)
      for (std::size_t i = 0; i < 2 * side; ++i) right[k][i] = number(rows_[B][k], i);
    for (std::size_t m = 0; m < side; ++m) {
      std::array<std::array<float, side>, 2> sums{};
      for (std::size_t k = 0; k < side; ++k)
        for (std::size_t half = 0; half < 2; ++half) {
          const float left = number(rows_[A][m], 2 * k + half);
          for (std::size_t n = 0; n < side; ++n)
            sums[half][n] = fused(left, right[k][2 * n + half], sums[half][n]);
        }
      for (std::size_t n = 0; n < side; ++n) {
        const float sum = fused(1, sums[0][n], sums[1][n]);
        std::byte* const at = rows_[C][m].data() + n * sizeof(float);
        kernels::store(at, fused(1, flushed(kernels::load<float>(at)), sum));
      }
    }
  }

 private:
  static constexpr std::size_t side = 16;
  using Row = std::array<std::byte, 4 * side>;

  static float number(const Row& row, std::size_t at) {
    return flushed(float_of_bfloat16(kernels::load<std::uint16_t>(row.data() + 2 * at)));
  }

  static float flushed(float value) {
    return std::abs(value) < std::numeric_limits<float>::min() ? std::copysign(0.0F, value) : value;
  }

  static float fused(float a, float b, float c) {
    const float sum = std::fma(a, b, c);
    if (std::abs(sum) > std::numeric_limits<float>::min()) return sum;
    // The processor asks whether the sum is denormal after rounding it as if it were not: one that
    // would come to less than the smallest normal number by this counts, though it is stored as it.
    constexpr double smallest = std::numeric_limits<float>::min();
    if (std::abs(sum) == std::numeric_limits<float>::min() &&
        std::abs(static_cast<double>(a) * b + c) < smallest * (1 - 0x1p-25))
      return std::copysign(0.0F, sum);
    return flushed(sum);
  }

  std::array<std::array<Row, side>, 8> rows_;
};

}  // namespace lora::kernels
