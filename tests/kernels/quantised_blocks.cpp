#include <lora/kernels/quantised_blocks.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "support/catch.hpp"

using namespace lora::kernels;

namespace {

template <class Block>
std::string hex_of(const std::array<float, 32>& values) {
  std::array<std::uint8_t, Block::bytes> bytes{};
  Block::encode(values.data(), bytes.data());
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::array<float, 32> filled(float even, float odd) {
  std::array<float, 32> values{};
  for (std::size_t i = 0; i < 32; ++i) values[i] = i % 2 == 0 ? even : odd;
  return values;
}

}  // namespace

TEST_CASE("a ramp is encoded to the bytes that llama.cpp writes") {
  std::array<float, 32> ramp{};
  for (std::size_t i = 0; i < 32; ++i) ramp[i] = (static_cast<float>(i) - 16) / 8;
  CHECK(hex_of<BlockQ8_0>(ramp) ==
        "082481899199a1a9b1b9c0c8d0d8e0e8f0f8000810182028303840474f575f676f77");
  CHECK(hex_of<BlockQ4_0>(ramp) == "0034809191a2a2b3b3c4c4d5d5e6e6f7f7f8");
  CHECK(hex_of<BlockQ4_1>(ramp) == "223400c080809191a2a2b3b3c4c4d5d5e6e6f7f7");
  CHECK(hex_of<BlockQ5_0>(ramp) == "00300000ffff00112233445566778899aabbccddeeff");
  CHECK(hex_of<BlockQ5_1>(ramp) == "003000c00000ffff00112233445566778899aabbccddeeff");
}

TEST_CASE("zeros, and plus and minus one, are encoded as in llama.cpp") {
  const std::array<float, 32> zeros{};
  CHECK(hex_of<BlockQ4_0>(zeros) == "0080" + std::string(32, '8'));
  CHECK(hex_of<BlockQ8_0>(zeros) == std::string(68, '0'));
  CHECK(hex_of<BlockQ4_1>(zeros) == std::string(40, '0'));
  std::array<std::uint8_t, BlockQ4_0::bytes> bytes{};
  std::array<float, 32> out{};
  BlockQ4_0::encode(zeros.data(), bytes.data());
  BlockQ4_0::decode(bytes.data(), out.data());
  CHECK(out[0] == 0);
  CHECK(std::signbit(out[0]));
  BlockQ4_0::encode(filled(1, -1).data(), bytes.data());
  BlockQ4_0::decode(bytes.data(), out.data());
  CHECK(out[0] == 1);
  CHECK(out[1] == -0.875F);
}
