#include <lora/kernels/packed_bands.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("bands of rows are packed one after the other, each row once") {
  // So deep that 600 rows do not fit at once.
  const Matrix<float> left = random_matrix<float>(600, kernels::depth_block * 50 + 3, 1);
  const Index step = kernels::rows_at_once(left.cols());
  REQUIRE(step < 600);
  Index next = 0;
  kernels::for_each_packed_band<float>(
      left, [&](const kernels::PackedLeft<float>& packed, Index row) {
        CHECK(row == next);
        CHECK(packed.rows == std::min(step, 600 - row));
        CHECK(packed.depth == left.cols());
        // The first tile of the last depth block: element k of its rows side by side.
        const Index high = kernels::tile_rows<float>(packed.rows);
        const Index k = packed.depth / kernels::depth_block * kernels::depth_block;
        for (Index j = 0; j < high; ++j)
          for (Index i = 0; i < packed.depth - k; ++i)
            REQUIRE(packed.tile(0, k)[i * high + j] == left(row + j, k + i));
        next = row + packed.rows;
      });
  CHECK(next == 600);
}

TEST_CASE("what is packed at once stays within megabytes, in whole tasks of rows") {
  for (const Index depth : {0, 1, 384, 4096, 100'000}) {
    const Index rows = kernels::rows_at_once(depth);
    CHECK(rows % 64 == 0);
    CHECK(rows >= 256);
    if (rows > 256) CHECK((rows - 64) * depth <= Index{1} << 22);
  }
}

TEST_CASE("no rows make no band") {
  const Matrix<float> left(0, 7);
  kernels::for_each_packed_band<float>(left,
                                       [](const auto&, Index) { FAIL("there is nothing to do"); });
}
