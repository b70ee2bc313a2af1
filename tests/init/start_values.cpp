#include <lora/init/gaussian.hpp>
#include <lora/init/kaiming_uniform.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/tolerance.hpp"

using namespace lora;

namespace {
const Random random_numbers(11, RandomStream::initialisation);
}

TEST_CASE("kaiming_uniform with a = sqrt 5 is uniform within 1 / sqrt(fan_in)") {
  Matrix<double> a(64, 400);
  kaiming_uniform<double>(a, random_numbers);
  const double k = 1 / 20.0;
  CHECK(a.maxCoeff() < k);
  CHECK(a.minCoeff() > -k);
  CHECK(a.maxCoeff() > 0.999 * k);
  CHECK(a.minCoeff() < -0.999 * k);
  const double root = std::sqrt(static_cast<double>(a.size()));
  CHECK(std::abs(a.mean()) < 5 * k / std::sqrt(3.0) / root);
  CHECK(std::abs(a.squaredNorm() / static_cast<double>(a.size()) - k * k / 3) <
        5 * k * k * std::sqrt(4.0 / 45) / root);
  // He's own bound, for a = 0.
  Matrix<double> he(8, 600);
  kaiming_uniform<double>(he, random_numbers, 0);
  CHECK(he.cwiseAbs().maxCoeff() < 0.1);
  CHECK(he.cwiseAbs().maxCoeff() > 0.099);
}

TEST_CASE("gaussian has the standard deviation asked for") {
  Matrix<double> a(64, 400);
  gaussian<double>(a, random_numbers, 0.25);
  const double count = static_cast<double>(a.size());
  CHECK(std::abs(a.mean()) < 5 * 0.25 / std::sqrt(count));
  CHECK(std::abs(a.squaredNorm() / count / 0.0625 - 1) < 5 * std::sqrt(2 / count));
}

TEST_CASE("start values follow from the seed and the step alone") {
  Matrix<float> a(3, 5), b(3, 5);
  kaiming_uniform<float>(a, random_numbers);
  kaiming_uniform<float>(b, random_numbers);
  CHECK(test::same_bits(a, b));
  kaiming_uniform<float>(b, random_numbers, std::sqrt(5.0), 1);
  CHECK_FALSE(test::same_bits(a, b));
  gaussian<float>(a, random_numbers, 1);
  gaussian<float>(b, random_numbers, 1);
  CHECK(test::same_bits(a, b));
  Matrix<float> empty(0, 5);
  CHECK_NOTHROW(kaiming_uniform<float>(empty, random_numbers));
}
