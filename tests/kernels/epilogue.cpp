#include <lora/kernels/epilogue.hpp>
#include <lora/kernels/tile.hpp>

#include "support/catch.hpp"
#include "support/packed_sides.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("an epilogue is start + scale sums + low rank, for every size and edge", "",
                   float, double, long double) {
  using T = TestType;
  constexpr Index width = Simd<T>::width;
  for (Index rows = 1; rows <= kernels::TileShape<T>::rows; rows *= 2)
    for (Index packets = 1; packets <= kernels::TileShape<T>::vectors; ++packets)
      for (const Index depth : {Index{0}, Index{1}, Index{2}, Index{37}, Index{385}})
        for (const Index rank : {Index{0}, Index{1}, Index{9}})
          for (const Index missing : {Index{0}, Index{1}, width - 1}) {
            const Index columns = packets * width - missing;
            if (missing >= width || columns < 1) continue;
            CAPTURE(rows, packets, depth, rank, columns);
            const PackedSides<T> product(depth, rows, packets, 1), low_rank(rank, rows, packets, 3);
            const Matrix<T> scale = random_matrix<T>(1, packets * width, 5);
            const Matrix<T> c0 = random_matrix<T>(rows, columns, 6);
            const Matrix<T> row = random_matrix<T>(1, columns, 7);
            const Matrix<double> sums =
                (product.sums(columns).array() *
                 scale.leftCols(columns).template cast<double>().replicate(rows, 1).array())
                    .matrix() +
                low_rank.sums(columns);
            for (const bool from_row : {false, true}) {
              // What lies beside c stays as it is.
              Matrix<T> c = Matrix<T>::Constant(rows, columns + 3, T(7));
              c.leftCols(columns) = c0;
              kernels::tile_of<T>(
                  rows, product.operands(),
                  {c.data(), c.cols(), columns, scale.data(), from_row ? row.data() : c.data(),
                   from_row ? 0 : c.cols(), low_rank.operands()});
              const Matrix<double> start =
                  from_row ? Matrix<double>(row.replicate(rows, 1).template cast<double>())
                           : Matrix<double>(c0.template cast<double>());
              CHECK(largest_difference(c.leftCols(columns), start + sums) <=
                    Tolerance<T>(depth + rank, 2).value);
              CHECK((c.rightCols(3).array() == T(7)).all());
            }
          }
}
