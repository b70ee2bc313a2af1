#include <lora/kernels/block_runs.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::kernels;

TEMPLATE_TEST_CASE("runs of a block are the numbers that the block's own decoder gives, to the bit",
                   "", BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0, BlockQ4_K, BlockQ5_K,
                   BlockQ6_K) {
  using Block = TestType;
  std::mt19937 random(1);
  std::vector<std::uint8_t> block(static_cast<std::size_t>(Block::bytes));
  std::array<float, static_cast<std::size_t>(Block::weights)> expected, found;
  int compared = 0;
  for (int round = 0; round < 200; ++round) {
    for (std::uint8_t& byte : block) byte = static_cast<std::uint8_t>(random());
    Block::decode(block.data(), expected.data());
    for (Index part = 0; part < Block::weights / run_length; ++part) {
      const BlockRun<Block> run(block.data(), part);
      for (Index v = 0; v < run_vectors; ++v)
        store_run_vector(found.data() + part * run_length + v * run_width, run.vector(v));
    }
    // Of a scale that is no number it matters only that the others' are.
    bool same = true;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (!std::isfinite(expected[i])) continue;
      same = same &&
             std::bit_cast<std::uint32_t>(expected[i]) == std::bit_cast<std::uint32_t>(found[i]);
      ++compared;
    }
    CHECK(same);
  }
  CHECK(compared > 1000);
}
