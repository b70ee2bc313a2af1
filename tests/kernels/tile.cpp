#include <lora/kernels/tile.hpp>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

// c(i, j) = start(i, j) + alpha sum over k of left(k, i) right(k, j), one after the other.
template <class T>
Matrix<double> plain_tile(const Matrix<T>& left, const Matrix<T>& right, T alpha,
                          const Matrix<T>& start) {
  Matrix<double> c = start.template cast<double>();
  for (Index i = 0; i < c.rows(); ++i)
    for (Index j = 0; j < c.cols(); ++j) {
      double sum = 0;
      for (Index k = 0; k < left.rows(); ++k)
        sum += static_cast<double>(left(k, i)) * static_cast<double>(right(k, j));
      c(i, j) += static_cast<double>(alpha) * sum;
    }
  return c;
}

}  // namespace

TEMPLATE_TEST_CASE("a tile is its plain sums, for every size, start and edge", "", float, double,
                   long double) {
  using T = TestType;
  constexpr Index width = kernels::Simd<T>::width;
  for (Index rows = 1; rows <= kernels::TileShape<T>::rows; rows *= 2)
    for (Index vectors = 1; vectors <= kernels::TileShape<T>::vectors; ++vectors)
      for (const Index depth : {Index{0}, Index{1}, Index{2}, Index{37}, Index{385}})
        for (const Index missing : {Index{0}, Index{1}, width - 1}) {
          const Index columns = vectors * width - missing;
          if (missing >= width || columns < 1) continue;
          CAPTURE(rows, vectors, depth, columns);
          const Matrix<T> left = random_matrix<T>(depth, rows, 1);
          // The kernel reads whole packets and, ahead, prefetches beyond.
          const Matrix<T> right = random_matrix<T>(depth, vectors * width, 2);
          const Matrix<T> start = random_matrix<T>(rows, columns, 3);
          const Matrix<T> row = random_matrix<T>(1, columns, 4);
          const T alpha = T(-1.5);
          const double bound = Tolerance<T>(depth, 2).value;
          const auto run = [&](bool add, const T* from) {
            Matrix<T> c = Matrix<T>::Constant(rows, columns + 3, T(7));
            c.leftCols(columns) = start;
            kernels::tile_of<T>(rows, vectors, left.data(), right.data(), right.cols(), depth,
                                {c.data(), c.cols(), columns, alpha, add, from});
            CHECK((c.rightCols(3).array() == T(7)).all());
            return Matrix<T>(c.leftCols(columns));
          };
          CHECK(largest_difference(run(true, nullptr), plain_tile<T>(left, right, alpha, start)) <=
                bound);
          const Matrix<T> zero = Matrix<T>::Zero(rows, columns);
          CHECK(largest_difference(run(false, nullptr), plain_tile<T>(left, right, alpha, zero)) <=
                bound);
          const Matrix<T> repeated = row.replicate(rows, 1);
          CHECK(largest_difference(run(false, row.data()),
                                   plain_tile<T>(left, right, alpha, repeated)) <= bound);
        }
}

TEST_CASE("rows are cut into whole tiles and then powers of two") {
  constexpr Index most = kernels::TileShape<float>::rows;
  CHECK(kernels::tile_rows<float>(1000) == most);
  CHECK(kernels::tile_rows<float>(most) == most);
  CHECK(kernels::tile_rows<float>(3) == 2);
  CHECK(kernels::tile_rows<float>(1) == 1);
}
