#include <lora/adapters/factor_pair.hpp>

#include <limits>

#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("factors that do not fit, or are not finite, are refused by name") {
  const Matrix<float> a = Matrix<float>::Ones(2, 3), b = Matrix<float>::Ones(4, 2);
  const auto check = [](const Matrix<float>& first, const Matrix<float>& second) {
    require_factors<float>(first, second, "here", "q");
  };
  check(a, b);
  check_throws<ShapeError>([&] { check(a, a); },
                           "here: A and B of q are (2, 3) and (2, 3), expected (rank, in)");
  check_throws<ShapeError>([&] { check(a.topRows(0), b.leftCols(0)); }, "(0, 3) and (4, 0)");
  Matrix<float> bad = b;
  bad(3, 1) = std::numeric_limits<float>::quiet_NaN();
  check_throws<ConfigError>([&] { check(a, bad); }, "here: B of q has a number that is not finite");
}
