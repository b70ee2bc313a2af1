#include <lora/random/random.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("streams, substreams, seeds and steps are different sequences") {
  std::vector<std::array<std::uint32_t, 4>> seen;
  for (const std::uint64_t seed : {0ULL, 1ULL, 1ULL << 32})
    for (const auto stream : {RandomStream::initialisation, RandomStream::dropout})
      for (const std::uint64_t substream : {0ULL, 1ULL, 1ULL << 32})
        for (const std::uint64_t step : {0ULL, 1ULL, 1ULL << 32})
          for (const std::uint64_t index : {0ULL, 1ULL, 1ULL << 32})
            seen.push_back(Random(seed, stream, substream).words(step, index));
  std::sort(seen.begin(), seen.end());
  CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
}

TEST_CASE("uniform and normal numbers have their moments") {
  const Random random(3);
  constexpr std::uint64_t count = 200000;
  double u1 = 0, u2 = 0, n1 = 0, n2 = 0, n4 = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double u = random.uniform(0, i);
    REQUIRE((u >= 0 && u < 1));
    u1 += u;
    u2 += u * u;
    const double n = random.normal(0, i);
    n1 += n;
    n2 += n * n;
    n4 += n * n * n * n;
  }
  // Five standard errors of each mean.
  const double root = std::sqrt(static_cast<double>(count));
  CHECK(std::abs(u1 / count - 0.5) < 5 * std::sqrt(1.0 / 12) / root);
  CHECK(std::abs(u2 / count - 1.0 / 3) < 5 * std::sqrt(4.0 / 45) / root);
  CHECK(std::abs(n1 / count) < 5 / root);
  CHECK(std::abs(n2 / count - 1) < 5 * std::sqrt(2.0) / root);
  CHECK(std::abs(n4 / count - 3) < 5 * std::sqrt(96.0) / root);
}

TEST_CASE("numbers below a bound reach all of it and nothing else") {
  const Random random(5);
  for (const std::uint64_t bound : {1ULL, 2ULL, 7ULL}) {
    std::vector<int> hits(bound);
    for (std::uint64_t i = 0; i < 1000 * bound; ++i) {
      const std::uint64_t value = random.below(bound, 0, i);
      REQUIRE(value < bound);
      ++hits[value];
    }
    // A count of mean 1000 and variance below 1000: five standard deviations.
    for (const int hit : hits) CHECK(std::abs(hit - 1000) < 5 * 32);
  }
  // Above 2^32 the product of the halves matters: bits * bound / 2^64 by long division.
  const std::uint64_t bound = 0xFEDCBA9876543211ULL;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const auto w = random.words(0, i);
    const std::uint64_t bits = std::uint64_t{w[0]} << 32 | w[1];
    std::uint64_t high = 0, low = 0;  // bits * bound by shifting and adding
    for (int bit = 63; bit >= 0; --bit) {
      high = high << 1 | low >> 63;
      low <<= 1;
      if ((bits >> bit & 1) != 0) {
        low += bound;
        high += low < bound ? 1 : 0;
      }
    }
    CHECK(random.below(bound, 0, i) == high);
  }
}
