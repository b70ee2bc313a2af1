#include <lora/kernels/one_row.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/repeatable.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("a product of one row is the plain sums, however the right side lies", "", float,
                   double) {
  using T = TestType;
  for (const Index depth : {0, 1, 7, 16, 63, 300})
    for (const Index columns : {1, 5, 8, 16, 63, 129, 1030}) {
      CAPTURE(depth, columns);
      const Matrix<T> a = random_matrix<T>(depth + 1, 3, 1);  // the row is a column of it
      const Matrix<T> b = random_matrix<T>(depth, columns + 2, 2), bt = b.transpose();
      const Matrix<T> start = random_matrix<T>(1, columns, 3);
      Matrix<double> expected = start.template cast<double>();
      for (Index k = 0; k < depth; ++k)
        expected +=
            0.5 * static_cast<double>(a(k, 1)) * b.row(k).head(columns).template cast<double>();
      const double bound = Tolerance<T>(depth + 1).value;
      Matrix<T> c = start;
      kernels::add_one_row_product<T>(a.data() + 1, 3, {b.data(), 1, columns + 2}, depth, T(0.5),
                                      c.data(), columns);
      CHECK(largest_difference(c, expected) <= bound);
      c = start;
      kernels::add_one_row_product<T>(a.data() + 1, 3, {bt.data(), depth, 1}, depth, T(0.5),
                                      c.data(), columns);
      CHECK(largest_difference(c, expected) <= bound);
    }
}

TEST_CASE("a product of one row is the same bits for any number of threads and any address") {
  const Index depth = 500, columns = 3001;
  const Matrix<float> a = random_matrix<float>(1, depth, 1);
  const Matrix<float> b = random_matrix<float>(depth, columns, 2), bt = b.transpose();
  Matrix<float> first[2];
  for (const int count : {1, 2, 3})
    for (const Index shift : {0, 1, 3}) {
      const Threads threads(count);
      std::vector<float> memory(static_cast<std::size_t>(depth + shift));
      std::copy_n(a.data(), depth, memory.data() + shift);
      for (int kind = 0; kind < 2; ++kind) {
        Matrix<float> c = Matrix<float>::Zero(1, columns);
        const kernels::Strips<float> right = kind == 0
                                                 ? kernels::Strips<float>{b.data(), 1, columns}
                                                 : kernels::Strips<float>{bt.data(), depth, 1};
        kernels::add_one_row_product<float>(memory.data() + shift, 1, right, depth, 1, c.data(),
                                            columns);
        if (first[kind].size() == 0) first[kind] = c;
        CHECK(same_bits(first[kind], c));
      }
    }
}
