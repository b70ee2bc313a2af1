#include <lora/init/kaiming_uniform.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/tolerance.hpp"

using namespace lora;

TEST_CASE("kaiming_uniform with a = sqrt 5 is uniform within 1 / sqrt(fan_in)") {
  const Random random(11, RandomStream::initialisation);
  Matrix<double> a(64, 400);
  kaiming_uniform<double>(a, random);
  const double k = 1 / 20.0;
  CHECK(a.maxCoeff() < k);
  CHECK(a.minCoeff() > -k);
  CHECK(a.maxCoeff() > 0.999 * k);
  CHECK(a.minCoeff() < -0.999 * k);
  const double root = std::sqrt(static_cast<double>(a.size()));
  CHECK(std::abs(a.mean()) < 5 * k / std::sqrt(3.0) / root);
  CHECK(std::abs(a.squaredNorm() / static_cast<double>(a.size()) - k * k / 3) <
        5 * k * k * std::sqrt(4.0 / 45) / root);
}

TEST_CASE("kaiming_uniform with a = 0 has He's own bound") {
  Matrix<double> he(8, 600);
  kaiming_uniform<double>(he, Random(11, RandomStream::initialisation), 0);
  CHECK(he.cwiseAbs().maxCoeff() < 0.1);
  CHECK(he.cwiseAbs().maxCoeff() > 0.099);
}

TEST_CASE("kaiming_uniform follows from the seed and the step alone") {
  const Random random(11, RandomStream::initialisation);
  Matrix<float> a(3, 5), b(3, 5);
  kaiming_uniform<float>(a, random);
  kaiming_uniform<float>(b, random);
  CHECK(test::same_bits(a, b));
  kaiming_uniform<float>(b, random, std::sqrt(5.0), 1);
  CHECK_FALSE(test::same_bits(a, b));
  kaiming_uniform<float>(b, Random(12, RandomStream::initialisation));
  CHECK_FALSE(test::same_bits(a, b));
  Matrix<float> empty(0, 5);
  CHECK_NOTHROW(kaiming_uniform<float>(empty, random));
}
