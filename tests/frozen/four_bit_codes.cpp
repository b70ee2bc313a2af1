#include <lora/frozen/four_bit_codes.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("codes of four bits lie where they were put, in half a byte each") {
  FourBitCodes<kernels::NF4> codes(3, 40, 6, FourBitScales({1, 1}));
  CHECK(codes.bytes() == 3 * 2 * 16 + 8);
  for (Index o = 0; o < 3; ++o)
    for (Index i = 0; i < 40; ++i)
      codes.set_code(o, i, static_cast<std::uint8_t>((7 * i + o) % 16));
  bool same = true;
  for (Index o = 0; o < 3; ++o)
    for (Index i = 0; i < 40; ++i) same = same && codes.code(o, i) == (7 * i + o) % 16;
  CHECK(same);
}
