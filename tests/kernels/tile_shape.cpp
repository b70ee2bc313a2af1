#include <lora/kernels/tile_shape.hpp>

#include <vector>

#include "support/catch.hpp"

using namespace lora;

TEMPLATE_TEST_CASE("a tile's sums and what they are made of fit the registers", "", float, double,
                   long double) {
  using Shape = kernels::TileShape<TestType>;
  CHECK(Shape::rows * Shape::vectors + Shape::vectors + 1 <= Simd<TestType>::registers);
  CHECK(Shape::columns == Shape::vectors * Simd<TestType>::width);
}

TEST_CASE("unrolling calls the body once for each index, in order") {
  std::vector<Index> seen;
  kernels::unroll<5>([&](Index i) { seen.push_back(i); });
  CHECK(seen == std::vector<Index>{0, 1, 2, 3, 4});
}

TEST_CASE("sizes are rounded up to whole steps") {
  CHECK(kernels::round_up(0, 16) == 0);
  CHECK(kernels::round_up(1, 16) == 16);
  CHECK(kernels::round_up(16, 16) == 16);
  CHECK(kernels::round_up(17, 16) == 32);
}
