#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <lora/frozen/block_codes.hpp>
#include <random>
#include <vector>

namespace lora::bench {

/// Returns the blocks of a W (out, in) in a format that the library reads and does not write: every
/// bit is drawn, but for the blocks' own scales, which lie `scales` bytes after a block's begin and
/// are a small number, so that every weight is finite.
template <class Block>
[[nodiscard]] std::vector<std::byte> random_blocks(Index out, Index in,
                                                   std::initializer_list<std::ptrdiff_t> scales) {
  std::minstd_rand generator(1);
  std::vector<std::byte> bytes(
      static_cast<std::size_t>(out * (in / kernels::block_weights<Block> * Block::bytes)));
  // The low bits of this generator are the poor ones.
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(generator() >> 16 & 0xFF);
  constexpr std::uint16_t small = 0x0C00;  // 2^-12 in half precision
  for (auto block = bytes.begin(); block != bytes.end(); block += Block::bytes)
    for (const std::ptrdiff_t at : scales) {
      block[at] = static_cast<std::byte>(small & 0xFF);
      block[at + 1] = static_cast<std::byte>(small >> 8);
    }
  return bytes;
}

}  // namespace lora::bench
