#pragma once

#include <array>
#include <cstdint>

#include "lora/core/packets.hpp"
#include "lora/kernels/half_bits.hpp"
#include "lora/kernels/quantised_blocks.hpp"
#include "lora/kernels/quantised_super_blocks.hpp"
#include "lora/kernels/run_vector.hpp"

/// The blocks of quantised_blocks.hpp, decoded a run at a time in vectors, to the same bits.
///
///     BlockRun<Block> run(block, part);   the run_length numbers from part * run_length on
///     run.vector(v);                      run_width of them, from v * run_width on
namespace lora::kernels {

template <class Block>
class BlockRun;

namespace detail {

// The codes of vector v of a run whose number i lies in the low half of byte i, or in the high half
// of byte i - 16; of its four low bits only the code is certain.
[[nodiscard]] EIGEN_ALWAYS_INLINE RunInts split_codes(const std::uint8_t* bytes, Index v) {
  const Index first = v * run_width;
  const RunInts codes = load_codes<std::uint8_t>(bytes + first % 16);
  return first < 16 ? codes : codes >> 4;
}

// The fifth bits of vector v of a run, in place.
[[nodiscard]] EIGEN_ALWAYS_INLINE RunInts fifth_bits(std::uint32_t bits, Index v) {
  const auto shifted = static_cast<std::int32_t>(bits >> (v * run_width));
  return ((RunInts{} + shifted) >> run_lanes() & 1) << 4;
}

// A run of codes of four bits that stand for scale * (n - zero) + least.
template <int Zero>
class NibbleRun {
 public:
  NibbleRun(const std::uint8_t* codes, float scale, float least)
      : codes_(codes),
        scale_(scale),
        least_(least),
        table_(Zero != 0 ? RunTable::ramp(-Zero, scale) : RunTable::ramp(0, scale, least)) {}

  [[nodiscard]] EIGEN_ALWAYS_INLINE RunVector vector(Index v) const {
    const RunInts codes = split_codes(codes_, v);
    // Where one register holds the table, looking up is cheaper than converting and scaling.
    if constexpr (run_width == 16) return table_.at(codes);
    const RunVector numbers = floats_of((codes & 15) - Zero) * scale_;
    return Zero != 0 ? numbers : numbers + least_;
  }

 private:
  const std::uint8_t* codes_;
  float scale_, least_;
  RunTable table_;
};

}  // namespace detail

template <>
class BlockRun<BlockQ8_0> {
 public:
  BlockRun(const std::uint8_t* block, Index) : d_(half_at(block)), codes_(block + 2) {}

  [[nodiscard]] EIGEN_ALWAYS_INLINE RunVector vector(Index v) const {
    return d_ * floats_of(load_codes<std::int8_t>(codes_ + v * run_width));
  }

 private:
  float d_;
  const std::uint8_t* codes_;
};

template <>
class BlockRun<BlockQ4_0> : public detail::NibbleRun<8> {
 public:
  BlockRun(const std::uint8_t* block, Index) : NibbleRun(block + 2, half_at(block), 0) {}
};

template <>
class BlockRun<BlockQ4_1> : public detail::NibbleRun<0> {
 public:
  BlockRun(const std::uint8_t* block, Index)
      : NibbleRun(block + 4, half_at(block), half_at(block + 2)) {}
};

template <>
class BlockRun<BlockQ5_0> {
 public:
  BlockRun(const std::uint8_t* block, Index)
      : d_(half_at(block)), high_(load<std::uint32_t>(block + 2)), codes_(block + 6) {}

  [[nodiscard]] EIGEN_ALWAYS_INLINE RunVector vector(Index v) const {
    const RunInts codes = (detail::split_codes(codes_, v) & 15) | detail::fifth_bits(high_, v);
    return d_ * floats_of(codes - 16);
  }

 private:
  float d_;
  std::uint32_t high_;
  const std::uint8_t* codes_;
};

template <>
class BlockRun<BlockQ5_1> {
 public:
  BlockRun(const std::uint8_t* block, Index)
      : d_(half_at(block)),
        m_(half_at(block + 2)),
        high_(load<std::uint32_t>(block + 4)),
        codes_(block + 8) {}

  [[nodiscard]] EIGEN_ALWAYS_INLINE RunVector vector(Index v) const {
    const RunInts codes = (detail::split_codes(codes_, v) & 15) | detail::fifth_bits(high_, v);
    return d_ * floats_of(codes) + m_;
  }

 private:
  float d_, m_;
  std::uint32_t high_;
  const std::uint8_t* codes_;
};

template <>
class BlockRun<BlockQ4_K> {
 public:
  BlockRun(const std::uint8_t* block, Index part)
      : codes_(block + 16 + part / 2 * 32),
        shift_(part % 2 * 4),
        by_(detail::scale_and_least(block, static_cast<int>(part))) {
    if constexpr (run_width == 16) table_ = RunTable::ramp(0, by_.scale, -by_.least);
  }

  [[nodiscard]] EIGEN_ALWAYS_INLINE RunVector vector(Index v) const {
    const RunInts codes =
        load_codes<std::uint8_t>(codes_ + v * run_width) >> static_cast<int>(shift_);
    if constexpr (run_width == 16) return table_.at(codes);
    return by_.scale * floats_of(codes & 15) - by_.least;
  }

 private:
  const std::uint8_t* codes_;
  Index shift_;
  detail::ScaleAndLeast by_;
  RunTable table_ = RunTable::ramp(0, 0);
};

template <>
class BlockRun<BlockQ5_K> {
 public:
  BlockRun(const std::uint8_t* block, Index part)
      : high_(block + 16),
        codes_(block + 48 + part / 2 * 32),
        part_(static_cast<int>(part)),
        shift_(part_ % 2 * 4),
        by_(detail::scale_and_least(block, part_)) {}

  [[nodiscard]] EIGEN_ALWAYS_INLINE RunVector vector(Index v) const {
    const RunInts low = load_codes<std::uint8_t>(codes_ + v * run_width) >> shift_ & 15;
    const RunInts high = load_codes<std::uint8_t>(high_ + v * run_width) >> part_ & 1;
    return by_.scale * floats_of(low | high << 4) - by_.least;
  }

 private:
  const std::uint8_t* high_;
  const std::uint8_t* codes_;
  int part_, shift_;
  detail::ScaleAndLeast by_;
};

template <>
class BlockRun<BlockQ6_K> {
 public:
  BlockRun(const std::uint8_t* block, Index part) {
    const Index half = part / 4, group = part % 4;
    low_ = block + 64 * half + 32 * (group % 2);
    high_ = block + 128 + 32 * half;
    low_shift_ = static_cast<int>(4 * (group / 2));
    high_shift_ = static_cast<int>(2 * group);
    const float d = half_at(block + 208);
    for (std::size_t i = 0; i < 2; ++i)
      scales_[i] =
          d * static_cast<float>(load<std::int8_t>(block + 192 + 2 * part + static_cast<Index>(i)));
  }

  [[nodiscard]] EIGEN_ALWAYS_INLINE RunVector vector(Index v) const {
    const Index first = v * run_width;
    const RunInts low = load_codes<std::uint8_t>(low_ + first) >> low_shift_ & 15;
    const RunInts high = load_codes<std::uint8_t>(high_ + first) >> high_shift_ & 3;
    return scales_[static_cast<std::size_t>(first / 16)] * floats_of((low | high << 4) - 32);
  }

 private:
  const std::uint8_t* low_;
  const std::uint8_t* high_;
  int low_shift_, high_shift_;
  std::array<float, 2> scales_;
};

}  // namespace lora::kernels
