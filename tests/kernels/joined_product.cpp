#include <lora/kernels/joined_product.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("a product joins its low-rank part, in bands of rows and of any rank", "", float,
                   double) {
  using T = TestType;
  struct Case {
    Index n, k, width, rank;
  };
  const Case cases[] = {
      {1, 1, 1, 1}, {7, 385, 49, 8}, {130, 40, 300, 16}, {20, 30, 50, 500}, {33, 64, 96, 0}};
  for (const auto& [n, k, width, rank] : cases) {
    CAPTURE(n, k, width, rank);
    const Matrix<T> x = random_matrix<T>(n, k, 1), w = random_matrix<T>(k, width, 2);
    const Matrix<T> left = random_matrix<T>(n, rank, 3), factor = random_matrix<T>(rank, width, 4);
    const Matrix<T> transposed = factor.transpose(), row = random_matrix<T>(1, width, 5);
    const kernels::MatrixPanels<T> right{kernels::columns_of(w.data(), width, true)};
    const Matrix<double> expected =
        row.template cast<double>().replicate(n, 1) +
        x.template cast<double>() * w.template cast<double>() -
        0.5 * left.template cast<double>() * factor.template cast<double>();
    // The factor in either order: B of a layer's forward, A of its backward.
    for (const auto& columns : {kernels::columns_of(factor.data(), width, true),
                                kernels::columns_of(transposed.data(), rank, false)}) {
      const kernels::LowRankPart<T> part{left, columns, T(-0.5)};
      CHECK(part.exists() == (rank > 0));
      Matrix<T> out(n, width), one;
      const auto run = [&] {
        kernels::joined_product<T>(kernels::MatrixRows<T>(x), right, {false, row.data()}, part,
                                   out);
      };
      for (const int count : {1, 2, 3}) {
        const Threads threads(count);
        run();
        if (count == 1) one = out;
        CHECK(largest_difference(out, expected) <= Tolerance<T>(k + rank).value);
        CHECK(same_bits(out, one));
      }
      const Threads counted(countable_threads(2));
      run();
      CHECK(allocations_of(run).count == 0);
    }
  }
}

TEST_CASE("a low-rank part of zeros leaves the bits of the product") {
  const Matrix<float> x = random_matrix<float>(50, 400, 1), w = random_matrix<float>(400, 100, 2);
  const Matrix<float> left = random_matrix<float>(50, 8, 3), zero = Matrix<float>::Zero(8, 100);
  const kernels::MatrixPanels<float> right{kernels::columns_of(w.data(), 100, true)};
  Matrix<float> with(50, 100), without(50, 100);
  kernels::joined_product<float>(kernels::MatrixRows<float>(x), right, {false, nullptr},
                                 {left, kernels::columns_of(zero.data(), 100, true), 3.0F}, with);
  kernels::joined_product<float>(kernels::MatrixRows<float>(x), right, {false, nullptr},
                                 {left.leftCols(0), {nullptr, 1, 1}, 3.0F}, without);
  CHECK(same_bits(with, without));
}

TEST_CASE("a low-rank part is added by a product of its own, the factor in either order") {
  const Matrix<double> left = random_matrix<double>(6, 3, 1),
                       factor = random_matrix<double>(3, 10, 2);
  const Matrix<double> transposed = factor.transpose(), out0 = random_matrix<double>(6, 10, 3);
  const Matrix<double> expected = out0 + 2 * left * factor;
  for (const auto& columns : {kernels::columns_of(factor.data(), 10, true),
                              kernels::columns_of(transposed.data(), 3, false)}) {
    Matrix<double> out = out0;
    kernels::add_low_rank<double>({left, columns, 2.0}, out);
    CHECK(largest_difference(out, expected) <= Tolerance<double>(3, 2).value);
  }
}
