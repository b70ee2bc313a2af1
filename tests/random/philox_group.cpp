#include <lora/random/philox_group.hpp>
#include <lora/random/random.hpp>

#include "support/catch.hpp"

using namespace lora;

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
