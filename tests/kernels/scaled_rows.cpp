#include <lora/kernels/scaled_rows.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("a row gets the scaled rows of a small matrix", "", float, double) {
  using T = TestType;
  for (const Index count : {0, 1, 5, 16, 64, 131})
    for (const Index depth : {0, 1, 9}) {
      CAPTURE(count, depth);
      const Matrix<T> a = random_matrix<T>(depth, 3, 1), b = random_matrix<T>(depth, count, 2),
                      start = random_matrix<T>(1, count, 3);
      Matrix<T> c = start;
      kernels::add_scaled_rows<T>(a.data(), 3, depth, T(0.5), b.data(), count, count, c.data());
      const Matrix<T> expected = start + T(0.5) * a.col(0).transpose() * b;
      CHECK(largest_difference(c, expected) <= Tolerance<T>(depth).value);
    }
}
