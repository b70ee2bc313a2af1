#include <lora/kernels/product.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("add_product is c + alpha a b in every orientation", "", float, double,
                   long double) {
  using T = TestType;
  // Zero, one, primes, and both sides of the register and cache blocks.
  const Index sizes[] = {0, 1, 3, 8, 31, 65, 193, 300};
  for (const Index m : sizes)
    for (const Index n : sizes)
      for (const Index k : {Index{0}, Index{1}, Index{7}, Index{64}, Index{401}}) {
        if (m * n * k > 65 * 193 * 401) continue;
        CAPTURE(m, n, k);
        const Matrix<T> a = random_matrix<T>(m, k, 1), b = random_matrix<T>(k, n, 2);
        const Matrix<T> at = a.transpose(), bt = b.transpose();
        const Matrix<T> c0 = random_matrix<T>(m, n, 3);
        const T alpha = T(-0.75);
        const Matrix<double> expected =
            c0.template cast<double>() -
            0.75 * (a.template cast<double>() * b.template cast<double>());
        const double bound = Tolerance<T>(k).value + 1e-15 * static_cast<double>(k + 1);
        Matrix<T> c = c0;
        add_product(c, alpha, a, b);
        REQUIRE(largest_difference(c, expected) <= bound);
        c = c0;
        add_product(c, alpha, at.transpose(), b);
        REQUIRE(largest_difference(c, expected) <= bound);
        c = c0;
        add_product(c, alpha, a, bt.transpose());
        REQUIRE(largest_difference(c, expected) <= bound);
        c = c0;
        add_product(c, alpha, at.transpose(), bt.transpose());
        REQUIRE(largest_difference(c, expected) <= bound);
      }
}

TEST_CASE("add_product spans more columns than are packed at a time") {
  // Depth 2000 leaves room for some hundred packed rows of a.
  const Index m = 2000, n = 40, k = 2000;
  const Matrix<float> a = random_matrix<float>(m, k, 1), b = random_matrix<float>(k, n, 2);
  Matrix<float> c = Matrix<float>::Zero(m, n);
  add_product(c, 1.0F, a, b);
  const Matrix<double> expected = a.cast<double>() * b.cast<double>();
  CHECK(largest_difference(c, expected) <= Tolerance<float>(k).value);
}

TEST_CASE("add_product gives the same bits for any number of threads and allocates once") {
  for (const auto& [m, n, k] :
       {std::array<Index, 3>{1, 3000, 700}, {300, 700, 500}, {600, 8, 900}}) {
    CAPTURE(m, n, k);
    const Matrix<float> a = random_matrix<float>(m, k, 1), b = random_matrix<float>(k, n, 2);
    Matrix<float> one;
    for (const int count : {1, 2, 3}) {
      const Threads threads(count);
      Matrix<float> c = Matrix<float>::Zero(m, n);
      add_product(c, 1.0F, a, b);
      if (count == 1) one = c;
      CHECK(same_bits(c, one));
#ifndef EIGEN_USE_BLAS
      if (countable_threads(count) == count)
        CHECK(allocations_of([&] { add_product(c, 1.0F, a, b); }).count == 0);
#endif
    }
  }
}

TEST_CASE("add_product refuses shapes that do not fit") {
  const Matrix<float> a(2, 3), b(4, 5);
  Matrix<float> c(2, 5);
  CHECK_THROWS_AS(add_product(c, 1.0F, a, b), ShapeError);
  const Matrix<float> b3 = Matrix<float>::Zero(3, 4);
  CHECK_THROWS_AS(add_product(c, 1.0F, a, b3), ShapeError);
}
