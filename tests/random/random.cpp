#include <lora/random/philox_group.hpp>
#include <lora/random/random.hpp>

#include <cmath>
#include <vector>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("philox gives its published vectors") {
  // From the Random123 distribution's known-answer file kat_vectors, "philox4x32 10".
  using Words = std::array<std::uint32_t, 4>;
  constexpr std::uint32_t all = 0xFFFFFFFF;
  CHECK(philox4x32_10({0, 0, 0, 0}, {0, 0}) ==
        Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32_10({all, all, all, all}, {all, all}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a group of counters gives what each counter gives alone") {
  const Random random(42, RandomStream::dropout, 7);
  // The last group's counters cross 2^32, where a carry must not be lost.
  for (const std::uint64_t group : {0ULL, 1ULL, 12345ULL, (1ULL << 29) - 1, 1ULL << 29, 1ULL << 50})
    for (const std::uint64_t step : {0ULL, 1ULL, 1ULL << 40}) {
      std::array<std::uint32_t, philox_group_words> words{};
      philox_group(group, step, random.key(), words);
      for (std::size_t c = 0; c < philox_group_counters; ++c) {
        const auto alone = random.words(step, group * philox_group_counters + c);
        for (std::size_t w = 0; w < 4; ++w) REQUIRE(words[8 * w + c] == alone[w]);
      }
    }
}

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
