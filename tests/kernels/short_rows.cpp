#include <lora/kernels/short_rows.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("a vector's products with short rows are the plain sums", "", float, double) {
  using T = TestType;
  CHECK_FALSE(kernels::takes_short_rows<T>(6));
  for (const Index r : {Index{4}, Index{8}, Index{12}, Index{16}})
    for (const Index n : {Index{1}, Index{7}, Index{33}}) {
      CAPTURE(r, n);
      if (!kernels::takes_short_rows<T>(r)) continue;  // a processor with shorter packets
      // Rows that do not follow one another at once.
      const Matrix<T> all = random_matrix<T>(n, r + 3, 1), row = random_matrix<T>(1, r, 2),
                      weights = random_matrix<T>(1, n, 3);
      const ConstMatrixRef<T> b(all.leftCols(r));
      const Matrix<double> wide = b.template cast<double>(), w = weights.template cast<double>(),
                           v = row.template cast<double>();
      const double tolerance = Tolerance<T>(33, 4).value;
      Matrix<T> c = Matrix<T>::Ones(1, n), sum = Matrix<T>::Ones(1, r),
                outer = Matrix<T>::Ones(n, r + 1);
      kernels::add_short_rows_product(row.data(), T(2), b, c.data());
      CHECK(largest_difference(c, Matrix<double>::Ones(1, n) + 2 * v * wide.transpose()) <=
            tolerance);
      kernels::add_weighted_short_rows(weights.data(), b, sum.data());
      CHECK(largest_difference(sum, Matrix<double>::Ones(1, r) + w * wide) <= tolerance);
      kernels::add_outer_product(weights.data(), T(2), row.data(), MatrixRef<T>(outer.leftCols(r)));
      CHECK(largest_difference(outer.leftCols(r),
                               Matrix<double>::Ones(n, r) + 2 * w.transpose() * v) <= tolerance);
      CHECK(same_bits(outer.col(r), Matrix<T>::Ones(n, 1)));
    }
}
