#include <lora/init/uniform.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/tolerance.hpp"

using namespace lora;

TEST_CASE("uniform numbers fill (-k, k) and are a function of seed, step and element") {
  const Random random(3, RandomStream::initialisation);
  Matrix<double> a(20, 50), b(20, 50), later(20, 50), row(1, 1000);
  uniform<double>(a, random, 0.25);
  uniform<double>(b, random, 0.25);
  uniform<double>(later, random, 0.25, 1);
  uniform<double>(row, random, 0.5);
  CHECK(test::same_bits(a, b));
  CHECK(!test::same_bits(a, later));
  CHECK(a.cwiseAbs().maxCoeff() < 0.25);
  CHECK(std::abs(a.mean()) < 0.02);
  CHECK(a.array().square().mean() == Approx(0.25 * 0.25 / 3).epsilon(0.1));
  CHECK(row(0, 51) == 2 * a(1, 1));
}
