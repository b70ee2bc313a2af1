#include <lora/init/start_factors.hpp>

#include <limits>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("the factors of a start take the scaling in, whatever its size and sign") {
  const Matrix<double> left = random_matrix<double>(6, 2, 1),
                       right = random_matrix<double>(2, 5, 2);
  for (const double scaling : {1.0, 2.0, 0.125, -3.0}) {
    StartFactors<double> start;
    detail::take_factors(LowRankFactors<double>{left, right}, scaling, start, "test");
    CHECK(largest_difference((scaling * start.b * start.a).eval(), left * right) < 1e-14);
    CHECK(std::abs(start.b.norm() / left.norm() - start.a.norm() / right.norm()) < 1e-14);
  }
  StartFactors<float> start;
  const LowRankFactors<float> factors{left.cast<float>(), right.cast<float>()};
  check_throws<ConfigError>([&] { detail::take_factors(factors, 1e-300, start, "test"); },
                            "test: scaling is 1e-300");
  check_throws<ConfigError>([&] { detail::take_factors(factors, 1e300, start, "test"); },
                            "test: scaling is 1e+300, too large");
}

TEST_CASE("a scaling under which no factors add anything is refused") {
  require_scaling(-0.5, "here");
  check_throws<ConfigError>([] { require_scaling(0, "here"); }, "here: scaling is 0");
  check_throws<ConfigError>(
      [] { require_scaling(std::numeric_limits<double>::infinity(), "here"); },
      "here: scaling is inf");
}
