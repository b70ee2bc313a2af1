#include <lora/kernels/shallow_product.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("a shallow product is the plain sums, in blocks of larger matrices too", "",
                   float, double, long double) {
  using T = TestType;
  for (const Index m : {Index{1}, Index{17}, Index{100}})
    for (const Index n : {Index{1}, Index{49}, Index{300}})
      for (const Index k : {Index{1}, Index{5}, Index{64}}) {
        CAPTURE(m, n, k);
        const Matrix<T> a = random_matrix<T>(m, k, 1), b = random_matrix<T>(k, n, 2);
        const Matrix<T> c0 = random_matrix<T>(m, n + 2, 3);
        Matrix<double> expected = c0.template cast<double>();
        expected.middleCols(1, n) += 0.5 * a.template cast<double>() * b.template cast<double>();
        Matrix<T> one;
        for (const int count : {1, 2, 3}) {
          const Threads threads(count);
          Matrix<T> c = c0;
          kernels::add_shallow_product<T>(ConstMatrixRef<T>(a),
                                          kernels::columns_of(b.data(), n, true), T(0.5),
                                          c.middleCols(1, n));
          CHECK(largest_difference(c, expected) <= Tolerance<T>(k).value);
          if (count == 1) one = c;
          CHECK(same_bits(c, one));
        }
      }
}

TEST_CASE("merging is shallow, a layer's product is not") {
  CHECK(kernels::is_shallow(4096, 4096, 16));
  CHECK_FALSE(kernels::is_shallow(512, 768, 768));
  CHECK_FALSE(kernels::is_shallow(8, 768, 16));
}
