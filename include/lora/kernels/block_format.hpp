#pragma once

#include <cstdint>

namespace lora::kernels {

/// How the numbers of a tensor lie in memory: one by one, or in the blocks of quantised_blocks.hpp.
/// The values are ggml's type numbers, which GGUF files have.
enum class BlockFormat : std::uint32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  BF16 = 30,
};

}  // namespace lora::kernels
