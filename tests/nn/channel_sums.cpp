#include <lora/nn/channel_sums.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("the moments of channels keep their digits far from zero and over many rows") {
  Matrix<float> x = random_matrix<float>(20000, 3, 1);
  x.col(1).array() += 1000;
  Matrix<float> mean(1, 3), variance(1, 3);
  channel_moments<float>(x, mean, variance);
  const Matrix<double> wide = x.cast<double>();
  for (Index j = 0; j < 3; ++j) {
    const double expected = wide.col(j).mean();
    CHECK(mean(0, j) == Approx(expected).epsilon(1e-6));
    CHECK(variance(0, j) == Approx((wide.col(j).array() - expected).square().mean()).epsilon(1e-4));
  }
}

TEST_CASE("the sums of a norm's gradients are those of their definition") {
  const Matrix<double> x = random_matrix<double>(700, 3, 1), dy = random_matrix<double>(700, 3, 2);
  const Matrix<double> mean = random_matrix<double>(1, 3, 3),
                       inverse = random_matrix<double>(1, 3, 4);
  Matrix<double> sum(1, 3), product(1, 3);
  channel_gradients<double>(x, dy, mean, inverse, sum, product);
  CHECK(largest_difference(sum, dy.colwise().sum()) < 1e-11);
  for (Index j = 0; j < 3; ++j)
    CHECK(product(0, j) ==
          Approx((dy.col(j).array() * (x.col(j).array() - mean(0, j))).sum() * inverse(0, j)));
}
