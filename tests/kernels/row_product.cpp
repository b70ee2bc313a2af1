#include <lora/kernels/row_product.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("one row times four panels is the plain sums", "", float, double) {
  using T = TestType;
  constexpr Index width = kernels::TileShape<T>::columns;
  for (const Index depth : {Index{0}, Index{1}, Index{50}, Index{1000}}) {
    CAPTURE(depth);
    const Matrix<T> x = random_matrix<T>(1, depth, 1);
    const Matrix<T> panels = random_matrix<T>(kernels::row_product_panels * depth, width, 2);
    std::array<const T*, kernels::row_product_panels> data;
    Matrix<double> expected = Matrix<double>::Zero(kernels::row_product_panels, width);
    for (Index p = 0; p < kernels::row_product_panels; ++p) {
      data[static_cast<std::size_t>(p)] = panels.data() + p * depth * width;
      for (Index k = 0; k < depth; ++k)
        for (Index j = 0; j < width; ++j)
          expected(p, j) +=
              static_cast<double>(x(0, k)) * static_cast<double>(panels(p * depth + k, j));
    }
    Matrix<T> out(kernels::row_product_panels, width);
    kernels::row_product<T>(x.data(), depth, data, out.data());
    CHECK(largest_difference(out, expected) <= Tolerance<T>(depth).value);
  }
}
