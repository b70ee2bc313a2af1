#include <lora/kernels/visit_format.hpp>

#include <type_traits>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::kernels;

namespace {

template <class Block>
bool visits(BlockFormat format) {
  return visit_format(format,
                      []<class Visited>(Visited) { return std::is_same_v<Visited, Block>; });
}

}  // namespace

TEST_CASE("each format is visited as its own type") {
  CHECK(visits<PlainFloat>(BlockFormat::F32));
  CHECK(visits<PlainFloat16>(BlockFormat::F16));
  CHECK(visits<PlainBFloat16>(BlockFormat::BF16));
  CHECK(visits<BlockQ4_0>(BlockFormat::Q4_0));
  CHECK(visits<BlockQ4_1>(BlockFormat::Q4_1));
  CHECK(visits<BlockQ5_0>(BlockFormat::Q5_0));
  CHECK(visits<BlockQ5_1>(BlockFormat::Q5_1));
  CHECK(visits<BlockQ8_0>(BlockFormat::Q8_0));
  CHECK(visits<BlockQ4_K>(BlockFormat::Q4_K));
  CHECK(visits<BlockQ5_K>(BlockFormat::Q5_K));
  CHECK(visits<BlockQ6_K>(BlockFormat::Q6_K));
}

TEST_CASE("numbers that lie one by one are blocks of one") {
  CHECK(block_weights<PlainFloat> == 1);
  CHECK(block_weights<PlainFloat16> == 1);
  CHECK(block_weights<BlockQ4_0> == 32);
  CHECK(block_weights<BlockQ6_K> == 256);
}
