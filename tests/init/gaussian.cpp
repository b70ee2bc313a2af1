#include <lora/init/gaussian.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/tolerance.hpp"

using namespace lora;

TEST_CASE("gaussian has the standard deviation asked for") {
  Matrix<double> a(64, 400);
  gaussian<double>(a, Random(11, RandomStream::initialisation), 0.25);
  const double count = static_cast<double>(a.size());
  CHECK(std::abs(a.mean()) < 5 * 0.25 / std::sqrt(count));
  CHECK(std::abs(a.squaredNorm() / count / 0.0625 - 1) < 5 * std::sqrt(2 / count));
}

TEST_CASE("gaussian follows from the seed and the step alone") {
  const Random random(11, RandomStream::initialisation);
  Matrix<float> a(3, 5), b(3, 5);
  gaussian<float>(a, random, 1);
  gaussian<float>(b, random, 1);
  CHECK(test::same_bits(a, b));
  gaussian<float>(b, random, 1, 1);
  CHECK_FALSE(test::same_bits(a, b));
  // Element i is number i, whatever the shape.
  Matrix<float> row(1, 15);
  gaussian<float>(row, random, 1);
  CHECK(row(0, 7) == a(1, 2));
}
