#include <lora/init/quantised_start.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE(
    "the error of a quantised start is relative to the weight, and none where there is none") {
  const Matrix<double> weight = random_matrix<double>(6, 5, 1);
  const LowRankFactors<double> factors{random_matrix<double>(6, 2, 2),
                                       random_matrix<double>(2, 5, 3)};
  const Matrix<double> rest = detail::without<double>(weight, factors);
  CHECK(largest_difference(rest, (weight - factors.left * factors.right).eval()) < 1e-14);
  CHECK(std::abs(detail::relative_norm<double>(rest, weight) - rest.norm() / weight.norm()) <
        1e-14);
  const Matrix<double> zeros = Matrix<double>::Zero(2, 2);
  CHECK(detail::relative_norm<double>(zeros, zeros) == 0);
}
