#pragma once

#include "lora/core/matrix.hpp"
#include "lora/kernels/block_format.hpp"
#include "lora/kernels/plain_runs.hpp"
#include "lora/kernels/quantised_blocks.hpp"
#include "lora/kernels/quantised_super_blocks.hpp"

namespace lora::kernels {

/// Calls f(Block()) with the format's type in quantised_blocks.hpp, quantised_super_blocks.hpp or
/// plain_runs.hpp, and returns what f returns.
template <class F>
decltype(auto) visit_format(BlockFormat format, const F& f) {
  using Format = BlockFormat;
  switch (format) {
    case Format::F16:
      return f(PlainFloat16());
    case Format::BF16:
      return f(PlainBFloat16());
    case Format::Q4_0:
      return f(BlockQ4_0());
    case Format::Q4_1:
      return f(BlockQ4_1());
    case Format::Q5_0:
      return f(BlockQ5_0());
    case Format::Q5_1:
      return f(BlockQ5_1());
    case Format::Q8_0:
      return f(BlockQ8_0());
    case Format::Q4_K:
      return f(BlockQ4_K());
    case Format::Q5_K:
      return f(BlockQ5_K());
    case Format::Q6_K:
      return f(BlockQ6_K());
    case Format::F32:
      break;
  }
  return f(PlainFloat());
}

/// The numbers of a block of a format's type; those that lie one by one are blocks of one.
template <class Block>
inline constexpr Index block_weights = 1;

/// Those of blocks of several.
template <class Block>
requires requires { Block::weights; }
inline constexpr Index block_weights<Block> = Block::weights;

}  // namespace lora::kernels
