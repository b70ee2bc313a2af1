#include <lora/kernels/panels.hpp>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("panels of a matrix are the same in both orders, copied or in place", "", float,
                   double, long double) {
  using T = TestType;
  constexpr Index width = kernels::TileShape<T>::columns;
  const Index begin = kernels::depth_block, depth = begin + 29, columns = 2 * width + 5;
  const Matrix<T> b = random_matrix<T>(depth, columns, 1);
  const Matrix<T> bt = b.transpose();
  std::vector<T> buffer(static_cast<std::size_t>(kernels::depth_block * width));
  for (const bool row_major : {true, false})
    for (const Index readings : {1, 100})
      for (Index column = 0; column < columns; column += width) {
        CAPTURE(row_major, readings, column);
        const kernels::MatrixPanels<T> source{row_major
                                                  ? kernels::columns_of(b.data(), columns, true)
                                                  : kernels::columns_of(bt.data(), depth, false)};
        const Index count = std::min(width, columns - column);
        const auto panel =
            source.panel({column, count, begin, depth - begin, readings}, buffer.data());
        const Index wide = kernels::round_up(count, Simd<T>::width);
        // Where the rows lie as tiles want them, a few readings do not pay for a copy.
        const bool in_place = row_major && readings == 1 && count == wide;
        CHECK((panel.data == buffer.data()) == !in_place);
        for (Index k = begin; k < depth; ++k)
          for (Index j = 0; j < (in_place ? count : wide); ++j)
            REQUIRE(panel.data[(k - begin) * panel.stride + j] ==
                    (j < count ? b(k, column + j) : T(0)));
      }
}

TEST_CASE("panels of a matrix pay from two rows on, from some more where they are transposed") {
  const Matrix<float> b = random_matrix<float>(8, 8, 1);
  const kernels::MatrixPanels<float> rows{kernels::columns_of(b.data(), 8, true)},
      columns{kernels::columns_of(b.data(), 8, false)};
  CHECK_FALSE(rows.pays(1));
  CHECK_FALSE(columns.pays(kernels::few_rows));
  CHECK(rows.pays(2) == !kernels::blas_multiplies);
  CHECK(columns.pays(kernels::few_rows + 1) == !kernels::blas_multiplies);
}
