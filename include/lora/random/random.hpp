#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "lora/random/philox.hpp"

namespace lora {

/// The independent sequences of one seed, so that no two uses of a seed share numbers.
enum class RandomStream : std::uint32_t {
  initialisation = 1,  ///< start values of A and B
  dropout = 2,         ///< masks
  shuffling = 3,       ///< order of a data set
  sampling = 4,        ///< tokens of generated text
  augmentation = 5,    ///< of images
  pruning = 6,         ///< which elements stay where adapters are combined
  user = 1024,         ///< first of those free for callers
};

/// Random numbers as a function of (seed, stream, substream, step, index). There is no state: any
/// thread can ask for any of them in any order and get the same.
class Random {
 public:
  /// Selects the sequence of `stream` and `substream` under `seed`.
  explicit constexpr Random(std::uint64_t seed, RandomStream stream = RandomStream::user,
                            std::uint64_t substream = 0) {
    const auto key = philox4x32_10(
        {low(substream), high(substream), static_cast<std::uint32_t>(stream), 0x6C6F7261},
        {low(seed), high(seed)});
    key_ = {key[0], key[1]};
  }

  /// Returns the 128 random bits at (step, index) as four words.
  [[nodiscard]] constexpr std::array<std::uint32_t, 4> words(std::uint64_t step,
                                                             std::uint64_t index) const {
    return philox4x32_10({low(index), high(index), low(step), high(step)}, key_);
  }

  /// Returns a number uniform on [0, 1) with 53 random bits.
  [[nodiscard]] constexpr double uniform(std::uint64_t step, std::uint64_t index) const {
    const auto w = words(step, index);
    return static_cast<double>((std::uint64_t{w[0]} << 32 | w[1]) >> 11) * 0x1p-53;
  }

  /// Returns a number of mean 0 and variance 1, by Box and Muller's transform.
  [[nodiscard]] double normal(std::uint64_t step, std::uint64_t index) const {
    const auto w = words(step, index);
    const double u = static_cast<double>(((std::uint64_t{w[0]} << 32 | w[1]) >> 11) + 1) * 0x1p-53;
    const double v = static_cast<double>((std::uint64_t{w[2]} << 32 | w[3]) >> 11) * 0x1p-53;
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
  }

  /// Returns an integer uniform on [0, bound) for bound > 0, each value within 2^-64 of its share.
  [[nodiscard]] constexpr std::uint64_t below(std::uint64_t bound, std::uint64_t step,
                                              std::uint64_t index) const {
    const auto w = words(step, index);
    // The upper 64 bits of bits * bound, from 32-bit halves.
    const auto lo = std::uint64_t{w[1]}, hi = std::uint64_t{w[0]};
    const std::uint64_t b_lo = bound & 0xFFFFFFFF, b_hi = bound >> 32;
    const std::uint64_t middle = hi * b_lo + (lo * b_lo >> 32);
    const std::uint64_t cross = lo * b_hi + (middle & 0xFFFFFFFF);
    return hi * b_hi + (middle >> 32) + (cross >> 32);
  }

  /// Returns the key that Philox is run under, for kernels that compute many words at once.
  [[nodiscard]] constexpr std::array<std::uint32_t, 2> key() const { return key_; }

 private:
  static constexpr std::uint32_t low(std::uint64_t v) { return static_cast<std::uint32_t>(v); }
  static constexpr std::uint32_t high(std::uint64_t v) {
    return static_cast<std::uint32_t>(v >> 32);
  }

  std::array<std::uint32_t, 2> key_{};
};

}  // namespace lora
