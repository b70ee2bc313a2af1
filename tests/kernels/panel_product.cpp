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
        left(kernels::pack_left<T>(kernels::MatrixRows<T>(matrix), memory.data())) {}
  std::vector<T> memory;
  kernels::PackedLeft<T> left;
};

// Panels of a row-major matrix of codes, with one scale for each column beside them.
template <class T>
struct ScaledPanels {
  const Matrix<T>* codes;
  const T* scales;

  kernels::Panel<T> panel(const kernels::PanelRequest& request, T* buffer) const {
    const kernels::MatrixPanels<T> panels{kernels::columns_of(codes->data(), codes->cols(), true)};
    return panels.panel(request, buffer);
  }
  const T* column_scale() const { return scales; }
};
static_assert(kernels::ScaledPanelSource<ScaledPanels<float>, float>);
static_assert(!kernels::ScaledPanelSource<kernels::MatrixPanels<float>, float>);

// start + alpha a b diag(scale) + u v^T, in double.
template <class T>
Matrix<double> plain(const Matrix<T>& start, double alpha, const Matrix<T>& a, const Matrix<T>& b,
                     const Matrix<T>& scale, const Matrix<T>& u, const Matrix<T>& v) {
  const Matrix<double> product = a.template cast<double>() * b.template cast<double>();
  const Matrix<double> scales = scale.template cast<double>().replicate(a.rows(), 1);
  return start.template cast<double>() + alpha * product.cwiseProduct(scales) +
         u.template cast<double>() * v.template cast<double>().transpose();
}

}  // namespace

TEMPLATE_TEST_CASE("a product starts from a row, from zero, or adds, and takes a low rank in", "",
                   float, double) {
  using T = TestType;
  using Product = kernels::Product<T, kernels::MatrixPanels<T>>;
  for (const Index m : {1, 13, 200})
    for (const Index n : {1, 31, 97, 500})
      for (const Index k : {1, 384, 401})
        for (const Index rank : {0, 5, 384, 390}) {
          if (rank > 5 && k > 1) continue;  // a low rank of more than a depth block
          CAPTURE(m, n, k, rank);
          const Matrix<T> a = random_matrix<T>(m, k, 1), b = random_matrix<T>(k, n, 2);
          const Matrix<T> u = random_matrix<T>(m, rank, 3), v = random_matrix<T>(n, rank, 4);
          const Matrix<T> c0 = random_matrix<T>(m, n, 5), row = random_matrix<T>(1, n, 6);
          const Matrix<T> ones = Matrix<T>::Ones(1, n);
          const PackedMatrix<T> pa(a), pu(u);
          const Product product{pa.left, {kernels::columns_of(b.data(), n, true)}, T(0.5)};
          const kernels::LowRankProduct<T> low_rank{pu.left,
                                                    {kernels::columns_of(v.data(), rank, false)}};
          const double bound = Tolerance<T>(k + rank).value;

          Matrix<T> c = c0;
          kernels::panel_product<T>(c, {}, product, low_rank);
          CHECK(largest_difference(c, plain<T>(c0, 0.5, a, b, ones, u, v)) <= bound);
          kernels::panel_product<T>(c, {false, nullptr}, product, low_rank);
          const Matrix<T> zero = Matrix<T>::Zero(m, n);
          CHECK(largest_difference(c, plain<T>(zero, 0.5, a, b, ones, u, v)) <= bound);
          const Matrix<T> one = c;
          for (const int count : {1, 2, 3}) {
            const Threads threads(count);
            kernels::panel_product<T>(c, {false, nullptr}, product, low_rank);
            CHECK(same_bits(c, one));
          }
          kernels::panel_product<T>(c, {false, row.data()}, product, low_rank);
          const Matrix<T> rows = row.replicate(m, 1);
          CHECK(largest_difference(c, plain<T>(rows, 0.5, a, b, ones, u, v)) <= bound);
        }
}

TEMPLATE_TEST_CASE("columns are scaled by the right side, by the caller, or by both", "", float,
                   double) {
  using T = TestType;
  for (const Index n : {1, 47, 48, 130}) {
    CAPTURE(n);
    const Index m = 21, k = 400, rank = 4;
    const Matrix<T> a = random_matrix<T>(m, k, 1), b = random_matrix<T>(k, n, 2);
    const Matrix<T> u = random_matrix<T>(m, rank, 3), v = random_matrix<T>(n, rank, 4);
    const Matrix<T> c0 = random_matrix<T>(m, n, 5);
    const Matrix<T> of_right = random_matrix<T>(1, n, 6), of_caller = random_matrix<T>(1, n, 7);
    const PackedMatrix<T> pa(a), pu(u);
    const kernels::LowRankProduct<T> low_rank{pu.left,
                                              {kernels::columns_of(v.data(), rank, false)}};
    const double bound = Tolerance<T>(k + rank).value;
    const ScaledPanels<T> scaled{&b, of_right.data()};
    const kernels::MatrixPanels<T> matrix{kernels::columns_of(b.data(), n, true)};

    Matrix<T> c = c0;
    kernels::panel_product<T>(c, {}, kernels::Product<T, ScaledPanels<T>>{pa.left, scaled, T(3)},
                              low_rank);
    CHECK(largest_difference(c, plain<T>(c0, 3, a, b, of_right, u, v)) <= 3 * bound);
    c = c0;
    kernels::panel_product<T>(
        c, {},
        kernels::Product<T, kernels::MatrixPanels<T>>{pa.left, matrix, T(3), of_caller.data()},
        low_rank);
    CHECK(largest_difference(c, plain<T>(c0, 3, a, b, of_caller, u, v)) <= 3 * bound);
    c = c0;
    kernels::panel_product<T>(
        c, {}, kernels::Product<T, ScaledPanels<T>>{pa.left, scaled, T(3), of_caller.data()},
        low_rank);
    const Matrix<T> both = of_right.cwiseProduct(of_caller);
    CHECK(largest_difference(c, plain<T>(c0, 3, a, b, both, u, v)) <= 3 * bound);
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
