#include <lora/kernels/half_bits.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <Eigen/Core>

#include "support/catch.hpp"

using namespace lora::kernels;

TEST_CASE("every half and bfloat16 becomes the float that Eigen makes of it, and goes back") {
  bool halves = true, bfloats = true;
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float half = static_cast<float>(Eigen::numext::bit_cast<Eigen::half>(bits));
    const float bfloat = static_cast<float>(Eigen::numext::bit_cast<Eigen::bfloat16>(bits));
    if (std::isnan(half)) {
      halves =
          halves && std::isnan(float_of_half(bits)) && (half_of_float(half) & 0x7E00U) == 0x7E00U;
    } else {
      halves =
          halves &&
          std::bit_cast<std::uint32_t>(float_of_half(bits)) == std::bit_cast<std::uint32_t>(half) &&
          half_of_float(half) == bits;
    }
    if (std::isnan(bfloat))
      bfloats = bfloats && std::isnan(float_of_bfloat16(bits));
    else
      bfloats = bfloats && float_of_bfloat16(bits) == bfloat && bfloat16_of_float(bfloat) == bits;
  }
  CHECK(halves);
  CHECK(bfloats);
}

TEST_CASE("floats become the nearest half, ties to even") {
  CHECK(half_of_float(65519.0F) == 0x7BFF);
  CHECK(half_of_float(65520.0F) == 0x7C00);
  CHECK(half_of_float(-1e30F) == 0xFC00);
  CHECK(half_of_float(2e-8F) == 0);
  CHECK(half_of_float(-2e-8F) == 0x8000);
  CHECK(half_of_float(6e-8F) == 1);
  CHECK(half_of_float(1 + 0x1p-11F) == half_of_float(1.0F));
  CHECK(half_of_float(1 + 3 * 0x1p-11F) == 0x3C02);
  CHECK(half_of_float(std::numeric_limits<float>::quiet_NaN()) == 0x7E00);
  // Every multiple of 2^-16 up to 4 as Eigen rounds it.
  bool same = true;
  for (int i = 0; i < 4 << 16; ++i) {
    const float value = static_cast<float>(i) * 0x1p-16F;
    same =
        same && half_of_float(value) == Eigen::numext::bit_cast<std::uint16_t>(Eigen::half(value));
  }
  CHECK(same);
}

TEST_CASE("floats become the nearest bfloat16, ties to even") {
  CHECK(bfloat16_of_float(1.00390625F) == 0x3F80);
  CHECK(bfloat16_of_float(1.01171875F) == 0x3F82);
  CHECK(bfloat16_of_float(std::numeric_limits<float>::quiet_NaN()) == 0x7FC0);
  CHECK(bfloat16_of_float(std::numeric_limits<float>::max()) == 0x7F80);
}

TEST_CASE("a half is read at any address") {
  std::array<std::uint8_t, 3> bytes{};
  for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
    const float expected = float_of_half(static_cast<std::uint16_t>(bits));
    if (std::isnan(expected)) continue;
    store(bytes.data() + 1, static_cast<std::uint16_t>(bits));
    const float found = half_at(bytes.data() + 1);
    if (std::bit_cast<std::uint32_t>(found) != std::bit_cast<std::uint32_t>(expected))
      FAIL("half " << bits << " is read as " << found << ", expected " << expected);
  }
}
