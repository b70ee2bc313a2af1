#include <lora/kernels/dot_tile.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("dot products of rows are the plain sums, for some rows of x", "", float, double,
                   long double) {
  using T = TestType;
  for (const Index n : {Index{1}, Index{4}, Index{7}, Index{33}})
    for (const Index r : {Index{1}, Index{2}, Index{5}, Index{16}})
      for (const Index k : {Index{0}, Index{1}, Index{15}, Index{64}, Index{2049}}) {
        CAPTURE(n, r, k);
        const Matrix<T> x = random_matrix<T>(n, k, 1), f = random_matrix<T>(r, k, 2);
        const Matrix<T> c0 = random_matrix<T>(n, r, 3);
        const Index first = n / 3, last = n - n / 4;
        Matrix<double> expected = c0.template cast<double>();
        for (Index i = first; i < last; ++i)
          for (Index j = 0; j < r; ++j)
            for (Index l = 0; l < k; ++l)
              expected(i, j) += 0.5 * static_cast<double>(x(i, l)) * static_cast<double>(f(j, l));
        Matrix<T> c = c0;
        kernels::add_dot_products<T>(x, f, T(0.5), {c.data(), r, 1}, first, last);
        CHECK(largest_difference(c, expected) <= Tolerance<T>(k).value);
        // The same into a transposed result.
        Matrix<T> ct = c0.transpose();
        kernels::add_dot_products<T>(x, f, T(0.5), {ct.data(), 1, n}, first, last);
        CHECK(same_bits(ct.transpose(), c));
      }
}
