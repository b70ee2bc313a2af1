#include <lora/frozen/four_bit_scales.hpp>

#include <cmath>
#include <vector>

#include <lora/frozen/four_bit_weight.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("scales that are quantised about their mean are bitsandbytes'") {
  const Golden<float> golden("../quantised/bitsandbytes");
  const NF4Weight<float> once(golden["many.w"], {.block_size = 32});
  const NF4Weight<float> twice(golden["many.w"], {.block_size = 32, .double_quantised = true});
  const Matrix<float>& codes = golden["many.nf4.nested_codes"];
  const Matrix<float>& scales = golden["many.nf4.nested_scales"];
  const float offset = golden["many.nf4.nested_offset"](0, 0);
  REQUIRE(twice.scales().is_nested());
  REQUIRE(twice.scales().size() == static_cast<std::size_t>(codes.size()));
  const auto values = kernels::dynamic_values();
  // The mean is summed in another order than torch's, so a code may be the neighbour.
  int same = 0;
  for (std::size_t i = 0; i < twice.scales().size(); ++i) {
    const float stored = values[static_cast<std::size_t>(codes.data()[i])] *
                         scales.data()[i / FourBitScales::nested_block];
    const bool equal = std::abs(twice.scales()(i) - (stored + offset)) <= 1e-6F;
    same += equal ? 1 : 0;
    CHECK(std::abs(twice.scales()(i) - once.scales()(i)) <= 0.05F);
  }
  CHECK(same >= static_cast<int>(codes.size()) - 2);
}

TEST_CASE("no scales at all are no scales quantised once more") {
  CHECK(FourBitScales::quantised({}).size() == 0);
  CHECK(FourBitScales({1, 2}).bytes() == 8);
}
