#include <lora/kernels/four_bit_codes.hpp>

#include <algorithm>
#include <array>
#include <vector>

#include "support/catch.hpp"

using namespace lora;
using kernels::FP4;
using kernels::NF4;

TEST_CASE("a number half-way between two codes takes the lower value") {
  for (std::size_t i = 0; i + 1 < 16; ++i) {
    const float low = NF4::values[i], high = NF4::values[i + 1];
    CHECK(kernels::four_bit_code<NF4>((low + high) / 2) == i);
    CHECK(kernels::four_bit_code<NF4>(high) == i + 1);
  }
  CHECK(kernels::four_bit_code<FP4>(0) == 0);
  CHECK(kernels::four_bit_code<FP4>(0.001F) == 8);  // the other zero
  CHECK(kernels::four_bit_code<FP4>(-1) == 11);
  CHECK(kernels::four_bit_code<FP4>(1) == 3);
}

TEST_CASE("the codes of FP4 stand in the order of their values") {
  CHECK(std::is_sorted(FP4::by_value.begin(), FP4::by_value.end(),
                       [](auto a, auto b) { return FP4::values[a] < FP4::values[b]; }));
  CHECK(std::is_sorted(NF4::values.begin(), NF4::values.end()));
}

TEST_CASE("a block of zeros has the scale that bitsandbytes gives it") {
  const std::vector<float> zeros(40);
  std::vector<std::uint8_t> codes(40);
  CHECK(kernels::encode_four_bit<NF4>(zeros, true, codes.data()) == 0);
  CHECK(codes[0] == 7);
  CHECK(kernels::encode_four_bit<NF4>(zeros, false, codes.data()) == 1e-38F);
}

TEST_CASE("blocks of four-bit weights are of bitsandbytes' sizes") {
  for (const Index size : {32, 64, 128, 256, 512, 1024, 2048, 4096})
    CHECK(kernels::is_four_bit_block(size));
  for (const Index size : {-64, 0, 1, 16, 48, 63, 4095, 8192})
    CHECK_FALSE(kernels::is_four_bit_block(size));
}
