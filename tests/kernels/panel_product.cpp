#include <lora/kernels/panel_product.hpp>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class T>
struct PackedMatrix {
  explicit PackedMatrix(const Matrix<T>& matrix)
      : memory(static_cast<std::size_t>(matrix.size())),
        left(kernels::pack_left<T>({matrix.data(), matrix.cols(), 1}, matrix.rows(), matrix.cols(),
                                   memory.data())) {}
  std::vector<T> memory;
  kernels::PackedLeft<T> left;
};

}  // namespace

TEMPLATE_TEST_CASE("a product of two terms starts from a row, from zero, or adds", "", float,
                   double) {
  using T = TestType;
  using Term = kernels::Term<T, kernels::MatrixPanels<T>>;
  for (const Index m : {Index{1}, Index{13}, Index{200}})
    for (const Index n : {Index{1}, Index{31}, Index{97}, Index{500}})
      for (const Index k : {Index{1}, Index{384}, Index{401}}) {
        CAPTURE(m, n, k);
        const Index rank = 5;
        const Matrix<T> a = random_matrix<T>(m, k, 1), b = random_matrix<T>(k, n, 2);
        const Matrix<T> u = random_matrix<T>(m, rank, 3), v = random_matrix<T>(n, rank, 4);
        const Matrix<T> c0 = random_matrix<T>(m, n, 5), row = random_matrix<T>(1, n, 6);
        const PackedMatrix<T> pa(a), pu(u);
        const Term first{pa.left, {kernels::columns_of(b.data(), n, true)}, T(1)};
        const Term second{pu.left, {kernels::columns_of(v.data(), rank, false)}, T(0.5)};
        const Matrix<double> sum =
            a.template cast<double>() * b.template cast<double>() +
            0.5 * u.template cast<double>() * v.template cast<double>().transpose();
        const double bound = Tolerance<T>(k + rank).value;

        Matrix<T> c = c0;
        kernels::panel_product<T>(c, {}, first, second);
        CHECK(largest_difference(c, c0.template cast<double>() + sum) <= bound);
        kernels::panel_product<T>(c, {false, nullptr}, first, second);
        CHECK(largest_difference(c, sum) <= bound);
        const Matrix<T> one = c;
        for (const int count : {1, 2, 3}) {
          const Threads threads(count);
          kernels::panel_product<T>(c, {false, nullptr}, first, second);
          CHECK(same_bits(c, one));
        }
        kernels::panel_product<T>(c, {false, row.data()}, first, second);
        const Matrix<double> rows = row.template cast<double>().replicate(m, 1);
        CHECK(largest_difference(c, rows + sum) <= bound);
      }
}

TEST_CASE("a left side of many rows is packed in bands") {
  const Index m = 700, n = 9, k = 17'000;
  const Matrix<float> a = random_matrix<float>(m, k, 1), b = random_matrix<float>(k, n, 2);
  Matrix<float> c = Matrix<float>::Zero(m, n);
  kernels::add_panel_product<float>(
      a, kernels::MatrixPanels<float>{kernels::columns_of(b.data(), n, true)}, 1.0F, c);
  const Matrix<double> expected = a.cast<double>() * b.cast<double>();
  CHECK(largest_difference(c, expected) <= Tolerance<float>(k).value);
}
