#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/frozen/coded_weight.hpp"
#include "lora/frozen/four_bit_codes.hpp"
#include "lora/kernels/four_bit_codes.hpp"

namespace lora {

/// How a weight is rounded to four bits; the defaults are QLoRA's, but for the double quantisation.
struct FourBitOptions {
  Index block_size = 64;          ///< numbers of one scale: a power of two from 32 to 4096
  bool double_quantised = false;  ///< scales in eight bits: 0.516 bytes a weight instead of 0.5625
};

/// A frozen weight W (out_features, in_features) in four bits, as bitsandbytes 0.50 has it
/// (bnb.nn.Linear4bit): W(i) = values[code] * scale, with a scale for each block of 64 numbers in
/// row-major order, which is the largest magnitude among them. Bytes a weight: 0.5625, or 0.516
/// double quantised.
///
/// Codes and scales are bitsandbytes' to the bit, and dense() has the product of value and scale,
/// rounded to float: what bitsandbytes decodes on every device, but for the sign of FP4's second
/// zero. (On a CPU 0.50.2 decodes other numbers where rows are no whole number of blocks.) Double
/// quantised scales that are made here are taken about a mean that is summed in double, where torch
/// sums in float. Products of T are made with dense()'s numbers. Const calls may run at once.
template <class T, class Format = kernels::NF4>
class FourBitWeight : public CodedWeight<T, FourBitCodes<Format>> {
  using Codes = FourBitCodes<Format>;
  using Base = CodedWeight<T, Codes>;

 public:
  /// Rounds `weight` (out, in), of which nothing is kept. Throws ConfigError for a block size that
  /// bitsandbytes does not have, and for a number that is not finite: bitsandbytes stores such a
  /// block and decodes nonsense.
  explicit FourBitWeight(ConstMatrixRef<T> weight, const FourBitOptions& options = {})
      : Base(encoded(weight, options)) {}

  /// Takes what bitsandbytes stored: `packed` has two codes a byte, the first in the high half, of
  /// W's numbers in row-major order. Throws ShapeError for sizes that do not belong together,
  /// ConfigError for a block size that bitsandbytes does not have and for scales that are not
  /// finite.
  FourBitWeight(std::span<const std::uint8_t> packed, FourBitScales scales, Index block_size,
                Index out_features, Index in_features)
      : Base(unpacked(packed, std::move(scales), block_size, out_features, in_features)) {}

  /// Returns the codes as bitsandbytes stores them.
  [[nodiscard]] std::vector<std::uint8_t> packed() const {
    const Codes& codes = this->codes();
    const Index count = codes.rows() * codes.columns();
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>((count + 1) / 2));
    if (count == 0) return bytes;
    for (Index o = 0, flat = 0; o < codes.rows(); ++o)
      for (Index i = 0; i < codes.columns(); ++i, ++flat)
        bytes[static_cast<std::size_t>(flat / 2)] |=
            static_cast<std::uint8_t>(codes.code(o, i) << (flat % 2 == 0 ? 4 : 0));
    if (count % 2 != 0) bytes.back() |= kernels::four_bit_code<Format>(0);
    return bytes;
  }

  /// Returns the scales of the blocks.
  [[nodiscard]] const FourBitScales& scales() const { return this->codes().scales(); }

 private:
  static int shift_of(Index block_size) {
    if (!kernels::is_four_bit_block(block_size))
      throw ConfigError(message(Format::name, ": block_size = ", block_size,
                                ", expected a power of two from 32 to 4096"));
    return std::countr_zero(static_cast<std::uint64_t>(block_size));
  }

  static Codes encoded(ConstMatrixRef<T> weight, const FourBitOptions& options) {
    const int shift = shift_of(options.block_size);
    const Index out = weight.rows(), in = weight.cols(), count = out * in;
    const Index block = options.block_size, blocks = (count + block - 1) / block;
    std::vector<float> numbers(static_cast<std::size_t>(block));
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(count));
    std::vector<float> scales(static_cast<std::size_t>(blocks));
    for (Index b = 0; b < blocks; ++b) {
      const Index first = b * block, length = std::min(block, count - first);
      for (Index i = 0; i < length; ++i) {
        const Index o = (first + i) / in, k = (first + i) % in;
        const auto number = static_cast<float>(weight(o, k));
        if (!is_finite(number))
          throw ConfigError(message(Format::name, ": W(", o, ", ", k, ") = ", weight(o, k),
                                    " is not a finite float"));
        numbers[static_cast<std::size_t>(i)] = number;
      }
      scales[static_cast<std::size_t>(b)] = kernels::encode_four_bit<Format>(
          std::span(numbers).first(static_cast<std::size_t>(length)), length == block,
          codes.data() + first);
    }
    Codes made(out, in, shift,
               options.double_quantised ? FourBitScales::quantised(std::move(scales))
                                        : FourBitScales(std::move(scales)));
    for (Index o = 0, flat = 0; o < out; ++o)
      for (Index i = 0; i < in; ++i, ++flat)
        made.set_code(o, i, codes[static_cast<std::size_t>(flat)]);
    return made;
  }

  static Codes unpacked(std::span<const std::uint8_t> packed, FourBitScales scales,
                        Index block_size, Index out, Index in) {
    const int shift = shift_of(block_size);
    // Room is left for rows that are filled up to whole runs.
    constexpr Index most = std::numeric_limits<Index>::max() - kernels::run_length;
    if (out < 0 || in < 0 || in > most || (in > 0 && out > most / (in + kernels::run_length)))
      throw ShapeError(message(Format::name, ": W is (", out, ", ", in, ")"));
    const auto count = static_cast<std::size_t>(out * in);
    if (packed.size() != count / 2 + count % 2)
      throw ShapeError(message(Format::name, ": ", packed.size(), " bytes of codes, expected ",
                               count / 2 + count % 2, " of a W (", out, ", ", in, ")"));
    const auto block = static_cast<std::size_t>(block_size);
    if (scales.size() != count / block + (count % block != 0 ? 1 : 0))
      throw ShapeError(message(Format::name, ": ", scales.size(), " scales, expected one for each ",
                               block, " of ", count, " weights"));
    for (std::size_t b = 0; b < scales.size(); ++b)
      if (!is_finite(scales(b)))
        throw ConfigError(message(Format::name, ": the scale of block ", b, " is ", scales(b),
                                  ": the weight had a number that was not finite"));
    Codes made(out, in, shift, std::move(scales));
    if (count == 0) return made;  // of however many rows without numbers
    for (Index o = 0, flat = 0; o < out; ++o)
      for (Index i = 0; i < in; ++i, ++flat) {
        const std::uint8_t byte = packed[static_cast<std::size_t>(flat / 2)];
        made.set_code(o, i, static_cast<std::uint8_t>(flat % 2 == 0 ? byte >> 4 : byte & 15));
      }
    return made;
  }
};

/// A frozen weight in NormalFloat of four bits: QLoRA's.
template <class T>
using NF4Weight = FourBitWeight<T, kernels::NF4>;

/// A frozen weight in floating point of four bits.
template <class T>
using FP4Weight = FourBitWeight<T, kernels::FP4>;

}  // namespace lora
