#include <lora/adapters/pruning.hpp>

#include <limits>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("pruning by magnitude keeps the largest, of equal ones the first") {
  Matrix<float> matrix(2, 4);
  matrix << 1, -3, 2, -2, 0.5F, 2, -2, 0;
  prune_by_magnitude(matrix, 0.49);  // 3.92 elements are 3
  Matrix<float> expected(2, 4);
  expected << 0, -3, 2, -2, 0, 0, 0, 0;
  CHECK(same_bits(matrix, expected));
  prune_by_magnitude(matrix, 1);
  CHECK(same_bits(matrix, expected));
  prune_by_magnitude(matrix, 0.1);
  CHECK(matrix.isZero(0));
}

TEST_CASE("random pruning keeps its share, and what is expected of an element") {
  const Matrix<double> original = random_matrix<double>(50, 60, 1);
  Matrix<double> mean = Matrix<double>::Zero(50, 60);
  constexpr int draws = 400;
  Index kept = 0;
  for (int draw = 0; draw < draws; ++draw) {
    Matrix<double> pruned = original;
    prune_at_random(pruned, 0.25, Random(3), static_cast<std::uint64_t>(draw));
    for (Index i = 0; i < pruned.size(); ++i) {
      if (pruned.data()[i] == 0) continue;
      REQUIRE(pruned.data()[i] == original.data()[i] / 0.25);
      ++kept;
    }
    mean += pruned / draws;
  }
  // Standard deviations: of the share 0.0004, of an element's mean at most sqrt(3 / 400) = 0.087.
  CHECK(std::abs(static_cast<double>(kept) / (3000.0 * draws) - 0.25) < 0.003);
  CHECK(largest_difference(mean, original) < 0.5);
  CHECK(std::abs((mean - original).mean()) < 0.01);

  Matrix<double> once = original, again = original, other = original;
  prune_at_random(once, 0.25, Random(3), 7);
  prune_at_random(again, 0.25, Random(3), 7);
  prune_at_random(other, 0.25, Random(3), 8);
  CHECK(same_bits(once, again));
  CHECK_FALSE(same_bits(once, other));
  prune_at_random(again, 1, Random(3), 8);
  CHECK(same_bits(once, again));
}

TEST_CASE("densities out of range are refused") {
  Matrix<float> matrix = Matrix<float>::Ones(2, 2);
  for (const double density : {0.0, -0.5, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    check_throws<ConfigError>([&] { prune_by_magnitude(matrix, density); },
                              "expected 0 < density <= 1");
    check_throws<ConfigError>([&] { prune_at_random(matrix, density, Random(1), 0); },
                              "prune_at_random: density is ");
  }
  CHECK(matrix.isOnes(0));
}
