#include <lora/init/low_rank_factors.hpp>

#include <cmath>
#include <limits>

#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

// A matrix whose singular values are 1 / (1 + i)^power.
template <class T>
Matrix<T> spectrum(Index rows, Index cols, double power) {
  const Index most = std::min(rows, cols);
  Matrix<double> u = random_matrix<double>(most, rows, 1), v = random_matrix<double>(most, cols, 2);
  orthonormalise_rows<double>(u);
  orthonormalise_rows<double>(v);
  for (Index i = 0; i < most; ++i) u.row(i) *= std::pow(1.0 + static_cast<double>(i), -power);
  return (u.transpose() * v).eval().template cast<T>();
}

template <class T>
double error_of(const Matrix<T>& matrix, const LowRankFactors<T>& factors) {
  return static_cast<double>((matrix - factors.left * factors.right).norm());
}

}  // namespace

TEMPLATE_TEST_CASE("low_rank_factors gives the largest singular values, shared alike", "", float,
                   double) {
  using T = TestType;
  for (const auto& [rows, cols] : {std::pair<Index, Index>{60, 90}, {90, 60}, {70, 70}}) {
    const Matrix<T> m = spectrum<T>(rows, cols, 1);
    double best = 0;
    for (Index i = 5; i < std::min(rows, cols); ++i) best += std::pow(1.0 + double(i), -2);
    for (const bool exact : {false, true}) {
      CAPTURE(rows, cols, exact);
      const auto factors = low_rank_factors<T>(m, 5, {.exact = exact});
      REQUIRE(factors.left.rows() == rows);
      REQUIRE(factors.right.cols() == cols);
      CHECK(std::abs(error_of(m, factors) - std::sqrt(best)) < 1e-5);
      const Matrix<double> left = factors.left.template cast<double>(),
                           right = factors.right.template cast<double>();
      Matrix<double> values = Matrix<double>::Zero(5, 5);
      for (Index i = 0; i < 5; ++i) values(i, i) = 1 / (1.0 + static_cast<double>(i));
      CHECK(largest_difference(left.transpose() * left, values) < 1e-5);
      CHECK(largest_difference(right * right.transpose(), values) < 1e-5);
    }
  }
}

TEST_CASE("the fast search comes near the best where the spectrum is flat, and nearer by passes") {
  const Matrix<float> m = random_matrix<float>(300, 400, 1);
  const double best = error_of(m, low_rank_factors<float>(m, 16, {.exact = true}));
  double before = 1e9;
  for (const Index passes : {Index{0}, Index{1}, Index{4}}) {
    const double error = error_of(m, low_rank_factors<float>(m, 16, {.power_iterations = passes}));
    CHECK(error < before);
    CHECK(error >= best * (1 - 1e-6));
    before = error;
  }
  CHECK(before < 1.003 * best);
}

TEST_CASE("low_rank_factors serves matrices of less rank than asked for") {
  CHECK(error_of(Matrix<float>(Matrix<float>::Zero(8, 9)),
                 low_rank_factors<float>(Matrix<float>(Matrix<float>::Zero(8, 9)), 4)) == 0);
  const Matrix<float> thin = random_matrix<float>(50, 2, 1) * random_matrix<float>(2, 40, 2);
  for (const bool exact : {false, true}) {
    const auto factors = low_rank_factors<float>(thin, 8, {.exact = exact});
    CHECK(all_finite<float>(factors.left));
    CHECK(all_finite<float>(factors.right));
    CHECK(error_of(thin, factors) < 1e-5);
  }
  // All of a matrix.
  const Matrix<float> small = random_matrix<float>(1, 7, 1);
  CHECK(error_of(small, low_rank_factors<float>(small, 1)) < 1e-6);
}

TEST_CASE("low_rank_factors gives the same bits for any number of threads") {
  const Matrix<float> m = random_matrix<float>(700, 900, 1);
  LowRankFactors<float> one;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    const auto factors = low_rank_factors<float>(m, 16);
    if (count == 1) one = factors;
    CHECK(same_bits(factors.left, one.left));
    CHECK(same_bits(factors.right, one.right));
  }
  const auto other = low_rank_factors<float>(m, 16, {.seed = 1});
  CHECK_FALSE(same_bits(other.left, one.left));
  const Matrix<float> small = random_matrix<float>(90, 100, 1);
  const auto exact = [&](int count) {
    const Threads threads(count);
    return low_rank_factors<float>(small, 4, {.exact = true});
  };
  CHECK(same_bits(exact(1).left, exact(3).left));
}

TEST_CASE("low_rank_factors takes blocks of larger matrices") {
  const Matrix<float> m = random_matrix<float>(40, 50, 1);
  const auto block = low_rank_factors<float>(m.block(3, 4, 20, 30), 4);
  const Matrix<float> copy = m.block(3, 4, 20, 30);
  CHECK(same_bits(block.left, low_rank_factors<float>(copy, 4).left));
}

TEST_CASE("low_rank_factors refuses what it cannot decompose by its name") {
  Matrix<float> m = random_matrix<float>(4, 6, 1);
  for (const Index rank : {Index{0}, Index{5}, Index{-1}})
    check_throws<ConfigError>([&] { static_cast<void>(low_rank_factors<float>(m, rank)); },
                              "expected 1 to 4 of a matrix (4, 6)");
  check_throws<ConfigError>(
      [&] { static_cast<void>(low_rank_factors<float>(m, 2, {.oversampling = -1})); },
      "oversampling is -1");
  check_throws<ConfigError>(
      [&] { static_cast<void>(low_rank_factors<float>(m, 2, {.power_iterations = -2})); },
      "power_iterations is -2");
  const Matrix<float> large = 1e38F * random_matrix<float>(64, 64, 2);
  check_throws<ConfigError>([&] { static_cast<void>(low_rank_factors<float>(large, 8)); },
                            "(64, 64) are too large");
  m(3, 1) = std::numeric_limits<float>::infinity();
  check_throws<ConfigError>([&] { static_cast<void>(low_rank_factors<float>(m, 2)); },
                            "low_rank_factors: W(3, 1) = inf");
}
