#include <lora/kernels/pack.hpp>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("packing puts strips side by side and fills up with zeros", "", float, double,
                   long double) {
  using T = TestType;
  for (const Index wide : {1, 2, 4, 8, 12, 16, 24, 32, 48})
    for (const Index depth : {0, 1, 3, 16, 17, 50})
      for (Index filled = 1; filled <= wide; ++filled) {
        CAPTURE(wide, depth, filled);
        // Strips as rows of one matrix and as columns of another.
        const Matrix<T> rows = random_matrix<T>(filled, depth, 1);
        const Matrix<T> columns = rows.transpose();
        for (const auto& strips : {kernels::Strips<T>{rows.data(), depth, 1},
                                   kernels::Strips<T>{columns.data(), 1, filled}}) {
          std::vector<T> out(static_cast<std::size_t>(depth * wide) + 1, T(9));
          kernels::pack_strips<T>(strips, filled, wide, depth, out.data());
          bool same = true;
          for (Index k = 0; k < depth; ++k)
            for (Index j = 0; j < wide; ++j)
              same = same && out[static_cast<std::size_t>(k * wide + j)] ==
                                 (j < filled ? rows(j, k) : T(0));
          CHECK(same);
          CHECK(out.back() == T(9));
        }
      }
}

TEST_CASE("strips are the columns of a matrix of either order, from any element on") {
  const Matrix<float> m = random_matrix<float>(5, 7, 1);
  const Matrix<float> t = m.transpose();
  for (const auto& columns :
       {kernels::columns_of(m.data(), 7, true), kernels::columns_of(t.data(), 5, false)})
    for (Index j = 0; j < 7; ++j)
      for (Index k = 0; k < 5; ++k) {
        CHECK(*columns.at(j, k) == m(k, j));
        CHECK(*columns.from(j, k).at(0, 0) == m(k, j));
        if (j < 6 && k < 4) CHECK(*columns.from(j, k).at(1, 1) == m(k + 1, j + 1));
      }
}
