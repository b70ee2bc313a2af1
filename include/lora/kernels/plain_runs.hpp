#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lora/core/packets.hpp"
#include "lora/kernels/half_bits.hpp"
#include "lora/kernels/half_formats.hpp"
#include "lora/kernels/run_vector.hpp"

/// Numbers that lie one by one in memory of any alignment, as runs. Each format has
///
///     vector(at)         the floats of run_width numbers
///     decode(in, out)    one number
///     encode(in, out)    one number, to the nearest
namespace lora::kernels {

/// float32.
struct PlainFloat {
  static constexpr Index bytes = 4;

  static void decode(const std::uint8_t* in, float* out) { *out = load<float>(in); }
  static void encode(const float* in, std::uint8_t* out) { store(out, *in); }

  [[nodiscard]] static EIGEN_ALWAYS_INLINE RunVector vector(const std::uint8_t* at) {
    RunVector numbers;
    std::memcpy(&numbers, at, sizeof(numbers));
    return numbers;
  }
};

/// Numbers of 16 bits in a format of half_formats.hpp.
template <class Format>
struct PlainHalf {
  static constexpr Index bytes = 2;

  static void decode(const std::uint8_t* in, float* out) {
    *out = Format::widen(load<std::uint16_t>(in));
  }
  static void encode(const float* in, std::uint8_t* out) { store(out, Format::narrow(*in)); }

  [[nodiscard]] static EIGEN_ALWAYS_INLINE RunVector vector(const std::uint8_t* at) {
    RunVector numbers;
    if constexpr (run_width == Simd<float>::width) {
      const Packet<float> packet = Format::packet(at);
      std::memcpy(&numbers, &packet, sizeof(numbers));
    } else {
      for (Index i = 0; i < run_width; ++i)
        numbers[i] = Format::widen(load<std::uint16_t>(at + 2 * i));
    }
    return numbers;
  }
};

using PlainBFloat16 = PlainHalf<BFloat16Format>;
using PlainFloat16 = PlainHalf<Float16Format>;

/// A run of them, of which `count` exist; the others are zeros, and are not read.
template <class Number>
class PlainRun {
 public:
  PlainRun(const std::uint8_t* at, Index count) : at_(at), whole_(count >= run_length) {
    if (!whole_) std::memcpy(part_.data(), at, static_cast<std::size_t>(count * Number::bytes));
  }

  [[nodiscard]] EIGEN_ALWAYS_INLINE RunVector vector(Index v) const {
    return Number::vector((whole_ ? at_ : part_.data()) + v * run_width * Number::bytes);
  }

 private:
  const std::uint8_t* at_;
  bool whole_;
  std::array<std::uint8_t, static_cast<std::size_t>(run_length* Number::bytes)> part_{};
};

}  // namespace lora::kernels
