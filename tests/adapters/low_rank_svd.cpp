#include <lora/adapters/low_rank_svd.hpp>

#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("the thin decomposition is that of the product, for any proportion of its sizes") {
  for (const auto& [out, rank, in] :
       {std::array<Index, 3>{7, 3, 11}, {3, 5, 11}, {11, 5, 3}, {1, 1, 1}, {40, 33, 50}}) {
    const Matrix<double> b = random_matrix<double>(out, rank, 1);
    const Matrix<double> a = random_matrix<double>(rank, in, 2);
    const LowRankSvd svd = low_rank_svd<double>(b, a);
    CAPTURE(out, rank, in);
    const Index count = std::min({out, rank, in});
    REQUIRE(svd.s.size() == count);
    const double close = Tolerance<double>(rank * 4, 4).value;
    CHECK(largest_difference(svd.u * svd.s.asDiagonal() * svd.v.transpose(), b * a) < close);
    const auto one = Eigen::MatrixXd::Identity(count, count);
    CHECK(largest_difference(svd.u.transpose() * svd.u, one) < close);
    CHECK(largest_difference(svd.v.transpose() * svd.v, one) < close);
    for (Index k = 0; k < count; ++k) {
      if (k > 0) CHECK(svd.s[k] <= svd.s[k - 1]);
      CHECK(svd.v.col(k).maxCoeff() == svd.v.col(k).cwiseAbs().maxCoeff());
    }
  }
}

TEST_CASE("the factors of a rank leave the tail, and zeros stand beyond the singular values") {
  const Matrix<double> b = random_matrix<double>(9, 4, 3), a = random_matrix<double>(4, 6, 4);
  const LowRankSvd svd = low_rank_svd<double>(b, a);
  const FactorPair<double> two = svd.factors<double>(2);
  CHECK((b * a - two.b * two.a).norm() == Approx(svd.tail_norm(2)).epsilon(1e-10));
  const FactorPair<double> six = svd.factors<double>(6);
  REQUIRE(six.a.rows() == 6);
  CHECK(six.a.bottomRows(2).isZero(0));
  CHECK(six.b.rightCols(2).isZero(0));
  CHECK(largest_difference(six.b * six.a, b * a) < 1e-13);
  CHECK(svd.tail_norm(6) == 0);
}

TEST_CASE("any number of threads gives the same bits") {
  const Matrix<float> b = random_matrix<float>(300, 40, 5), a = random_matrix<float>(40, 200, 6);
  const auto run = [&](int threads) {
    const Threads set(threads);
    return low_rank_svd<float>(b, a).factors<float>(20);
  };
  const auto one = run(1), four = run(4);
  CHECK(same_bits(one.a, four.a));
  CHECK(same_bits(one.b, four.b));
}

TEST_CASE("a product of zeros has singular values of zero") {
  const Matrix<float> b = Matrix<float>::Zero(5, 2), a = Matrix<float>::Ones(2, 3);
  const LowRankSvd svd = low_rank_svd<float>(b, a);
  CHECK(svd.s.isZero(0));
  CHECK(svd.factors<float>(2).b.isZero(0));
}
