#include <lora/kernels/low_rank_path.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class T>
Matrix<double> whole_mask(const DropoutMask& mask, Index rows, Index cols) {
  Matrix<T> m(rows, cols);
  for (Index i = 0; i < rows; ++i) mask.fill(i, 0, cols, m.row(i).data());
  return m.template cast<double>();
}

}  // namespace

TEMPLATE_TEST_CASE("paths of one x give drop(x) A^T, each with its own mask or none", "", float,
                   double) {
  using T = TestType;
  // Around the tiles of x (64 x 256) and the tasks of 16 rows.
  for (const Index n : {0, 1, 15, 17, 65})
    for (const Index in : {1, 31, 256, 300}) {
      CAPTURE(n, in);
      const Matrix<T> x = random_matrix<T>(n, in, 1);
      const Matrix<T> a0 = random_matrix<T>(4, in, 2), a1 = random_matrix<T>(7, in, 3);
      const DropoutMask mask(Random(5, RandomStream::dropout), 3, 0.25, in);
      // A row more than is used: what has no rows has no memory, and so no right columns.
      Matrix<T> memory(n + 1, 11), one;
      MatrixRef<T> xa = memory.topRows(n);
      const std::array<low_rank_path::Input<T>, 2> inputs = {
          low_rank_path::Input<T>{a0, xa.leftCols(4), {}},
          low_rank_path::Input<T>{a1, xa.rightCols(7), mask}};
      for (const int count : {1, 3}) {
        const Threads threads(count);
        xa.setConstant(T(9));
        low_rank_path::forward<T>(x, std::span(inputs));
        if (count == 1) one = xa;
        CHECK(same_bits(Matrix<T>(xa), one));
      }
      const Matrix<double> xd = x.template cast<double>();
      const double bound = Tolerance<T>(in, 2).value;
      CHECK(largest_difference(xa.leftCols(4), xd * a0.template cast<double>().transpose()) <=
            bound);
      CHECK(largest_difference(xa.rightCols(7), xd.cwiseProduct(whole_mask<T>(mask, n, in)) *
                                                    a1.template cast<double>().transpose()) <=
            bound);
    }
}

TEMPLATE_TEST_CASE("the gradient of x A^T is dy B", "", float, double) {
  using T = TestType;
  const Index n = 37, out = 129, rank = 6;
  const Matrix<T> dy = random_matrix<T>(n, out, 1), b = random_matrix<T>(out, rank, 2);
  Matrix<T> g(n, rank);
  low_rank_path::gradient_of_xa<T>(dy, b, g);
  CHECK(largest_difference(g, dy.template cast<double>() * b.template cast<double>()) <=
        Tolerance<T>(out).value);
}

TEMPLATE_TEST_CASE("backward of a masked path draws the mask of forward again", "", float, double) {
  using T = TestType;
  for (const Index n : {1, 64, 70})
    for (const Index in : {5, 256, 290}) {
      CAPTURE(n, in);
      const Index rank = 3;
      const Matrix<T> x = random_matrix<T>(n, in, 1), a = random_matrix<T>(rank, in, 2);
      const Matrix<T> g = random_matrix<T>(n, rank, 3);
      const Matrix<T> da0 = random_matrix<T>(rank, in, 4), dx0 = random_matrix<T>(n, in, 5);
      const DropoutMask mask(Random(6, RandomStream::dropout), 1, 0.5, in);
      const Matrix<double> kept = whole_mask<T>(mask, n, in);
      const Matrix<double> da =
          da0.template cast<double>() + 1.5 * g.template cast<double>().transpose() *
                                            x.template cast<double>().cwiseProduct(kept);
      const Matrix<double> dx =
          dx0.template cast<double>() +
          1.5 * (g.template cast<double>() * a.template cast<double>()).cwiseProduct(kept);
      Matrix<T> own_da = da0, own_dx = dx0;
      low_rank_path::backward<T>(x, a, g, T(1.5), mask, own_da, own_dx);
      CHECK(largest_difference(own_da, da) <= Tolerance<T>(n, 4).value);
      CHECK(largest_difference(own_dx, dx) <= Tolerance<T>(rank, 4).value);
      // Without dx, as the first layer of a network wants it.
      own_da = da0;
      low_rank_path::backward<T>(x, a, g, T(1.5), mask, own_da, MatrixRef<T>(nullptr, 0, 0, 0));
      CHECK(largest_difference(own_da, da) <= Tolerance<T>(n, 4).value);
    }
}
