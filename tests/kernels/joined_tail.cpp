#include <lora/kernels/joined_tail.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::kernels;
using namespace lora::test;

TEST_CASE("a factor fits where the last panel has room") {
  using Tail = JoinedTail<float>;
  constexpr Index wide = TileShape<float>::columns;
  CHECK(Tail::main_columns(2 * wide + 3) == 2 * wide);
  CHECK(Tail::fits(2 * wide + 3, 8));
  CHECK(Tail::fits(3, wide - 3));
  CHECK(!Tail::fits(3, wide - 2));
  CHECK(!Tail::fits(wide, 1));  // a panel of its own
  CHECK(!Tail::fits(wide + 1, 0));
}

TEMPLATE_TEST_CASE("a factor behind the last columns gives the bits of two products", "", float,
                   double) {
  using T = TestType;
  constexpr Index wide = TileShape<T>::columns;
  for (const Index columns : {Index{1}, Index{2}, wide - 4, wide + 2, 2 * wide + 3})
    for (const Index rank : {1, 3}) {
      for (const Index depth : {Index{4}, depth_block + 9}) {
        CAPTURE(columns, rank, depth);
        REQUIRE(JoinedTail<T>::fits(columns, rank));
        const Index n = 150;
        const Matrix<T> x = random_matrix<T>(n, depth, 1), w = random_matrix<T>(columns, depth, 2);
        const Matrix<T> a = random_matrix<T>(rank, depth, 3),
                        b = random_matrix<T>(columns, rank, 4);
        const Matrix<T> bias = random_matrix<T>(1, columns, 5),
                        by = random_matrix<T>(1, columns, 6);
        const MatrixPanels<T> right{columns_of(w.data(), w.outerStride(), false)};
        const MatrixPanels<T> factor{columns_of(a.data(), a.outerStride(), false)};
        const Strips<T> strips = columns_of(b.data(), b.outerStride(), false);
        Matrix<T> xa(n, rank), y(n, columns), expected_xa = xa, expected = y;
        for_each_packed_band<T>(x, [&](const PackedLeft<T>& packed, Index row) {
          panel_product<T>(MatrixRef<T>(expected_xa), {false, nullptr},
                           Product<T, MatrixPanels<T>>{packed, factor});
          joined_band<T>(packed, right, {false, bias.data()}, {expected_xa, strips, T(0.5)}, row,
                         expected, by.data());
        });
        for (const int count : {1, 2}) {
          const Threads threads(count);
          Scratch scratch;
          const JoinedTail<T> tail({depth, columns, rank}, right, a, bias.data(), by.data(),
                                   {xa, strips, T(0.5)}, scratch);
          xa.setConstant(7);
          y = expected;
          y.rightCols(columns - JoinedTail<T>::main_columns(columns)).setConstant(7);
          for_each_packed_band<T>(
              x, [&](const PackedLeft<T>& packed, Index row) { tail.compute(packed, row, xa, y); });
          CHECK(same_bits(xa, expected_xa));
          CHECK(same_bits(y, expected));
        }
      }
    }
}
