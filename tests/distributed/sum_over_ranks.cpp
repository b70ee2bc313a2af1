#include <lora/distributed/sum_over_ranks.hpp>

#include <bit>
#include <vector>

#include "distributed/some_ranks.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::test;
using namespace lora::distributed;

namespace {

struct Leaf {
  ShardSum sum;
  std::vector<float> gradient;
};

Leaf leaf_of(int rank, std::size_t size) {
  const auto columns = static_cast<Index>(size);
  const Matrix<float> g = random_matrix<float>(1, columns, static_cast<std::uint64_t>(rank + 1));
  return {{0.1 * rank, static_cast<double>(rank), rank}, {g.data(), g.data() + size}};
}

// What one process makes of all leaves, along the same tree.
Leaf tree_of(int first, int count, std::size_t size) {
  if (count == 1) return leaf_of(first, size);
  Leaf left = tree_of(first, count / 2, size), right = tree_of(first + count / 2, count / 2, size);
  merge_gradient<float>(left.gradient, left.sum, right.gradient, right.sum);
  return {merged(left.sum, right.sum), left.gradient};
}

}  // namespace

TEST_CASE("the sum over ranks has the bits of one process's sum, for gradients of any length") {
  for (const int count : {1, 2, 4})
    on_ranks(count, [&](const Communicator& ranks) {
      for (const std::size_t size : {0U, 1U, 2U, 3U, 5U, 17U, 131U, 1000U}) {
        CAPTURE(count, size);
        Leaf mine = leaf_of(ranks.rank(), size);
        std::vector<float> room((size + 1) / 2);
        sum_over_ranks<float>(ranks, mine.sum, mine.gradient, room, 42);
        const Leaf expected = tree_of(0, count, size);
        CHECK(mine.gradient == expected.gradient);
        CHECK(mine.sum.mean == expected.sum.mean);
        CHECK(mine.sum.count == expected.sum.count);
        CHECK(mine.sum.tokens == expected.sum.tokens);
      }
    });
}

TEST_CASE("ranks that differ are found before gradients meet") {
  const Communicator ranks;
  if (ranks.size() == 1 || !std::has_single_bit(static_cast<unsigned>(ranks.size()))) return;
  Leaf mine = leaf_of(ranks.rank(), 10 + static_cast<std::size_t>(ranks.rank()));
  std::vector<float> room(20);
  const auto check = static_cast<std::uint64_t>(ranks.rank());
  CHECK_THROWS_WITH(sum_over_ranks<float>(ranks, mine.sum, mine.gradient, room, check),
                    Catch::Matchers::ContainsSubstring("differ in the batch"));
}
