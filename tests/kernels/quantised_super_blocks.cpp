#include <lora/kernels/quantised_super_blocks.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

#include "support/catch.hpp"

using namespace lora::kernels;

namespace {

// A block of zeros but for the halves d = 1 and dmin = 0.5 at their places.
template <class Block>
std::array<std::uint8_t, Block::bytes> block(std::size_t d, std::size_t dmin = Block::bytes) {
  std::array<std::uint8_t, Block::bytes> bytes{};
  bytes[d + 1] = 0x3C;
  if (dmin < bytes.size()) bytes[dmin + 1] = 0x38;
  return bytes;
}

template <class Block>
std::array<float, 256> decoded(const std::array<std::uint8_t, Block::bytes>& bytes) {
  std::array<float, 256> numbers{};
  Block::decode(bytes.data(), numbers.data());
  return numbers;
}

}  // namespace

// The bits of whole files are compared with gguf-py's elsewhere.
TEST_CASE("super-blocks of 4 and 5 bits are scale times code less the least") {
  auto four = block<BlockQ4_K>(0, 2);
  four[4] = 3;               // the scale of the first 32 numbers
  four[8] = 4;               // what is taken off them
  four[16] = 0x25;           // the codes of numbers 0 and 32
  four[12] = 0x21;           // low bits of scale and least of numbers 128 to 159
  four[4] |= 0x40;           // and the scale's high bits
  four[16 + 64 + 1] = 0x0F;  // the code of number 129
  const auto numbers = decoded<BlockQ4_K>(four);
  CHECK(numbers[0] == 3 * 5 - 0.5F * 4);
  CHECK(numbers[1] == -0.5F * 4);
  CHECK(numbers[32] == 0);
  CHECK(numbers[129] == 17 * 15 - 0.5F * 2);

  auto five = block<BlockQ5_K>(0, 2);
  five[4] = 3;
  five[16] = 1;     // the fifth bit of number 0
  five[48] = 0x05;  // its other four
  CHECK(decoded<BlockQ5_K>(five)[0] == 3 * 21);
}

TEST_CASE("super-blocks of 6 bits are scale times code, 32 being zero") {
  auto six = block<BlockQ6_K>(208);
  six[192] = 0xFE;  // -2: the scale of numbers 0 to 15
  six[0] = 0x07;
  six[128] = 0x02;
  const auto numbers = decoded<BlockQ6_K>(six);
  CHECK(numbers[0] == -2 * (0x27 - 32));
  CHECK(numbers[1] == -2 * -32);
  CHECK(numbers[16] == 0);
}
