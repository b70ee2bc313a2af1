#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "lora/core/matrix.hpp"
#include "lora/core/random.hpp"

namespace lora {

/// Computes a dropout mask (rows, cols) as a function of (random, step, row, column): each element
/// is 0 with probability p and 1 / (1 - p) otherwise, so that its mean is 1. The mask is never
/// stored: backward asks for the same numbers again.
class DropoutMask {
 public:
  /// The columns of a run that `fill` gives must start at a multiple of this.
  static constexpr Index group = 32;

  /// Describes the mask of step `step` for matrices of `cols` columns; p is in [0, 1).
  DropoutMask(const Random& random, std::uint64_t step, double p, Index cols)
      : key_(random.key()),
        step_(step),
        keep_(1 - p),
        // An element is dropped where its 32 random bits are below p * 2^32.
        threshold_(static_cast<std::uint32_t>(std::min(p * 0x1p32, 0x1p32 - 1))),
        groups_(static_cast<std::uint64_t>((cols + group - 1) / group)) {}

  /// Writes the mask of row `row`, columns [first, first + count), to `out`; `first` is a multiple
  /// of `group`.
  template <class T>
  void fill(Index row, Index first, Index count, T* out) const {
    const T kept = static_cast<T>(1 / keep_);
    std::array<T, group> values;
    const std::uint64_t row_group = static_cast<std::uint64_t>(row) * groups_;
    for (Index col = 0; col < count; col += group) {
      group_of(row_group + static_cast<std::uint64_t>((first + col) / group), kept, values);
      std::copy_n(values.begin(), std::min(group, count - col), out + col);
    }
  }

 private:
  static constexpr std::size_t lanes = 8;
  using Lanes = std::array<std::uint32_t, lanes>;

  // Philox on eight counters side by side, so that the compiler can use vectors: element e of a
  // group takes word e / 8 of counter 8 * group + e % 8.
  template <class T>
  void group_of(std::uint64_t group_index, T kept, std::array<T, group>& values) const {
    Lanes c0, c1, c2, c3;
    for (std::size_t i = 0; i < lanes; ++i) {
      const std::uint64_t counter = group_index * lanes + i;
      c0[i] = static_cast<std::uint32_t>(counter);
      c1[i] = static_cast<std::uint32_t>(counter >> 32);
      c2[i] = static_cast<std::uint32_t>(step_);
      c3[i] = static_cast<std::uint32_t>(step_ >> 32);
    }
    std::uint32_t k0 = key_[0], k1 = key_[1];
    for (int round = 0; round < 10; ++round) {
      for (std::size_t i = 0; i < lanes; ++i) {
        const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c0[i];
        const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c2[i];
        c0[i] = static_cast<std::uint32_t>(p1 >> 32) ^ c1[i] ^ k0;
        c1[i] = static_cast<std::uint32_t>(p1);
        c2[i] = static_cast<std::uint32_t>(p0 >> 32) ^ c3[i] ^ k1;
        c3[i] = static_cast<std::uint32_t>(p0);
      }
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    for (std::size_t i = 0; i < lanes; ++i) {
      values[i] = c0[i] < threshold_ ? T(0) : kept;
      values[lanes + i] = c1[i] < threshold_ ? T(0) : kept;
      values[2 * lanes + i] = c2[i] < threshold_ ? T(0) : kept;
      values[3 * lanes + i] = c3[i] < threshold_ ? T(0) : kept;
    }
  }

  std::array<std::uint32_t, 2> key_;
  std::uint64_t step_;
  double keep_;
  std::uint32_t threshold_;
  std::uint64_t groups_;
};

}  // namespace lora
