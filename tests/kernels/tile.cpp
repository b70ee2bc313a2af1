#include <lora/kernels/tile.hpp>

#include "support/catch.hpp"
#include "support/packed_sides.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("a tile is its plain sums, for every size and edge", "", float, double,
                   long double) {
  using T = TestType;
  constexpr Index width = Simd<T>::width;
  for (Index rows = 1; rows <= kernels::TileShape<T>::rows; rows *= 2)
    for (Index columns = 1; columns <= kernels::TileShape<T>::columns; ++columns)
      for (const Index depth : {0, 1, 2, 37}) {
        CAPTURE(rows, columns, depth);
        const Index packets = (columns + width - 1) / width;
        const PackedSides<T> product(depth, rows, packets, 1);
        const Matrix<T> ones = Matrix<T>::Ones(1, packets * width);
        Matrix<T> c = Matrix<T>::Zero(rows, columns);
        kernels::tile_of<T>(rows, product.operands(),
                            {c.data(), columns, columns, ones.data(), c.data(), columns});
        CHECK(largest_difference(c, product.sums(columns)) <= Tolerance<T>(depth).value);
      }
}

TEST_CASE("rows are cut into whole tiles and then powers of two") {
  constexpr Index most = kernels::TileShape<float>::rows;
  CHECK(kernels::tile_rows<float>(1000) == most);
  CHECK(kernels::tile_rows<float>(most) == most);
  CHECK(kernels::tile_rows<float>(3) == 2);
  CHECK(kernels::tile_rows<float>(1) == 1);
}
