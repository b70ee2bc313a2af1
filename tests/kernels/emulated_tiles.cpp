#include <lora/kernels/emulated_tiles.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using kernels::EmulatedTiles;

namespace {

// Three tiles in memory, numbers by (row, column), A's pairs by (row, pair, half), and so on.
struct TileOperands {
  std::array<std::uint16_t, 512> a{};  // [row][pair][half]
  std::array<std::uint16_t, 512> b{};  // [pair][column][half]
  std::array<float, 256> c{};          // [row][column]

  [[nodiscard]] std::array<float, 256> multiplied() const {
    EmulatedTiles tiles;
    tiles.load<3>(a.data(), 64);
    tiles.load<5>(b.data(), 64);
    tiles.load<1>(c.data(), 64);
    tiles.multiply<1, 3, 5>();
    std::array<float, 256> sums{};
    tiles.store<1>(sums.data(), 64);
    return sums;
  }
};

std::uint16_t bits(float value) { return kernels::bfloat16_of_float(value); }

// Numbers that bfloat16 holds exactly.
float short_number(const Matrix<float>& from, Index i) {
  return kernels::float_of_bfloat16(bits(from.data()[i]));
}

}  // namespace

TEST_CASE("an emulated product adds even and odd pairs apart, then both to C") {
  const Matrix<float> numbers = test::random_matrix<float>(1280, 1, 1);
  TileOperands from;
  for (std::size_t i = 0; i < 512; ++i) {
    from.a[i] = bits(numbers.data()[i]);
    from.b[i] = bits(numbers.data()[512 + i]);
  }
  for (std::size_t i = 0; i < 256; ++i) from.c[i] = numbers.data()[1024 + i];
  const auto sums = from.multiplied();
  bool same = true;
  for (std::size_t m = 0; m < 16; ++m)
    for (std::size_t n = 0; n < 16; ++n) {
      float even = 0, odd = 0;
      for (std::size_t k = 0; k < 16; ++k) {
        const auto a = [&](std::size_t half) {
          return short_number(numbers, static_cast<Index>(m * 32 + 2 * k + half));
        };
        const auto b = [&](std::size_t half) {
          return short_number(numbers, static_cast<Index>(512 + k * 32 + 2 * n + half));
        };
        even = std::fma(a(0), b(0), even);
        odd = std::fma(a(1), b(1), odd);
      }
      same = same && sums[m * 16 + n] == numbers.data()[1024 + m * 16 + n] + (even + odd);
    }
  CHECK(same);
}

TEST_CASE("an emulated product takes denormal numbers for zeros") {
  const float smallest = std::numeric_limits<float>::min();
  const auto product = [](float a, float b, float c, std::uint16_t a_bits = 0) {
    TileOperands from;
    from.a[0] = a_bits != 0 ? a_bits : bits(a);
    from.b[0] = bits(b);
    from.c[0] = c;
    return from.multiplied()[0];
  };
  // An operand of A (the largest denormal bfloat16), of C, and a result.
  CHECK(product(0, 1e30F, 0, 0x007F) == 0);
  CHECK(product(0, 1, smallest / 2) == 0);
  CHECK(product(smallest, 0.5F, 0) == 0);
  CHECK(product(smallest, 1, 0) == smallest);
  CHECK(product(smallest, 1.5F, -smallest) == 0);
  // What is flushed in the chain is lost: the same terms, rounded at the end, would make 2
  // smallest.
  TileOperands chain;
  for (std::size_t k = 0; k < 4; ++k) {
    chain.a[2 * k] = bits(smallest);
    chain.b[32 * k] = bits(0.5F);
  }
  CHECK(chain.multiplied()[0] == 0);
  // The smallest normal number less 3/4 or 1/4 of the next step below it. Denormal rounding would
  // lift both to that number; rounded as normal ones, which counts, only the second comes to it.
  const auto less = [&](float quarters) {
    TileOperands from;
    from.a = {bits(smallest), 0, bits(-quarters * 0x1p-76F)};
    from.b[0] = bits(1);
    from.b[32] = bits(0x1p-76F);
    return from.multiplied()[0];
  };
  CHECK(less(3) == 0);
  CHECK(less(1) == smallest);
}

TEST_CASE("emulated infinities and NaN spread as in float") {
  const float infinity = std::numeric_limits<float>::infinity();
  TileOperands from;
  from.a[0] = bits(infinity);
  from.b[0] = bits(2);
  const auto sums = from.multiplied();
  CHECK(sums[0] == infinity);
  CHECK(std::isnan(sums[1]));  // times zero
  CHECK(sums[16] == 0);
}
