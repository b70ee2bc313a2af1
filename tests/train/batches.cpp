#include <lora/train/batches.hpp>

#include <set>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::train;

namespace {

// Lengths from 3 to 40, in no order.
std::vector<Index> some_lengths(Index count) {
  std::vector<Index> lengths;
  for (Index i = 0; i < count; ++i) lengths.push_back(3 + (i * 29 + i * i) % 38);
  return lengths;
}

// What padding each batch to its longest text adds up to.
Index padded_tokens(const std::vector<Batch>& batches, const std::vector<Index>& lengths) {
  Index sum = 0;
  for (const Batch& batch : batches) {
    Index longest = 0;
    for (const Index text : batch)
      longest = std::max(longest, lengths[static_cast<std::size_t>(text)]);
    sum += longest * static_cast<Index>(batch.size());
  }
  return sum;
}

}  // namespace

TEST_CASE("an epoch's batches hold every text once") {
  for (const Index count : {0, 1, 7, 8, 9, 130, 1000}) {
    CAPTURE(count);
    const auto batches = batches_by_length(some_lengths(count), {.size = 8}, 5, 2);
    std::set<Index> seen;
    std::size_t smaller = 0;
    for (const Batch& batch : batches) {
      CHECK(batch.size() <= 8);
      smaller += batch.size() < 8 ? 1 : 0;
      seen.insert(batch.begin(), batch.end());
    }
    CHECK(static_cast<Index>(seen.size()) == count);
    CHECK(static_cast<Index>(batches.size()) == (count + 7) / 8);
    CHECK(smaller == (count % 8 == 0 ? 0 : 1));
  }
}

TEST_CASE("seed and epoch decide the order") {
  const auto lengths = some_lengths(300);
  CHECK(batches_by_length(lengths, {.size = 8}, 5, 2) ==
        batches_by_length(lengths, {.size = 8}, 5, 2));
  CHECK(batches_by_length(lengths, {.size = 8}, 5, 2) !=
        batches_by_length(lengths, {.size = 8}, 5, 3));
  CHECK(batches_by_length(lengths, {.size = 8}, 5, 2) !=
        batches_by_length(lengths, {.size = 8}, 6, 2));
}

TEST_CASE("texts of a batch are of about one length, and long batches do not come first") {
  const auto lengths = some_lengths(1000);
  Index tokens = 0;
  for (const Index length : lengths) tokens += length;
  const auto batches = batches_by_length(lengths, {.size = 8}, 1, 0);
  CHECK(static_cast<double>(padded_tokens(batches, lengths)) < 1.15 * static_cast<double>(tokens));
  std::size_t falls = 0;
  for (std::size_t i = 1; i < batches.size(); ++i)
    falls += lengths[static_cast<std::size_t>(batches[i][0])] <
                     lengths[static_cast<std::size_t>(batches[i - 1][0])]
                 ? 1
                 : 0;
  CHECK(falls > batches.size() / 4);
  CHECK(falls < batches.size() * 3 / 4);
}

TEST_CASE("texts are scored from the longest to the shortest") {
  const std::vector<Index> lengths{4, 9, 2, 9, 7};
  CHECK(batches_by_length(lengths, {.size = 2}) == std::vector<Batch>{{1, 3}, {4, 0}, {2}});
  CHECK(batches_by_length({}, {.size = 2}).empty());
}

TEST_CASE("a limit of tokens bounds what padding makes of a batch") {
  const auto lengths = some_lengths(1000);
  for (const std::uint64_t epoch : {0U, 1U}) {
    const auto batches = batches_by_length(lengths, {.size = 16, .tokens = 100}, 1, epoch);
    std::set<Index> seen;
    for (const Batch& batch : batches) {
      CHECK(batch.size() <= 16);
      CHECK(padded_tokens({batch}, lengths) <= 100);
      seen.insert(batch.begin(), batch.end());
    }
    CHECK(seen.size() == 1000);
  }
  // One that is longer goes alone; texts without a token count as if they had one.
  CHECK(batches_by_length({9, 2, 2, 2, 0, 0}, {.size = 4, .tokens = 4}) ==
        std::vector<Batch>{{0}, {1, 2}, {3, 4}, {5}});
}

TEST_CASE("examples that are all alike are shuffled and cut") {
  const auto batches = shuffled_batches(10, 4, 3, 1);
  REQUIRE(batches.size() == 3);
  CHECK(batches[2].size() == 2);
  std::set<Index> seen;
  for (const Batch& batch : batches) seen.insert(batch.begin(), batch.end());
  CHECK(seen.size() == 10);
  CHECK(batches == shuffled_batches(10, 4, 3, 1));
  CHECK(batches != shuffled_batches(10, 4, 3, 2));
  CHECK(batches != shuffled_batches(10, 4, 4, 1));
  CHECK(shuffled_batches(0, 4, 3, 1).empty());
}

TEST_CASE("batches of no example and of a negative number of tokens are refused") {
  using lora::test::check_throws;
  check_throws<ConfigError>([] { static_cast<void>(shuffled_batches(3, 0, 1, 1)); },
                            "size is 0, expected at least 1");
  check_throws<ConfigError>([] { static_cast<void>(batches_by_length({1}, {.size = -2})); },
                            "size is -2");
  check_throws<ConfigError>([] { static_cast<void>(batches_by_length({1}, {.tokens = -1}, 1, 1)); },
                            "tokens is -1");
}
