#include <lora/distributed/shard_sum.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::test;
using lora::distributed::merge_gradient;
using lora::distributed::merged;
using lora::distributed::ShardSum;

TEST_CASE("the mean of two shards weighs each by what counts in it") {
  const ShardSum both = merged({2, 1, 10}, {4, 3, 20});
  CHECK(both.mean == Approx(3.5));
  CHECK(both.count == 4);
  CHECK(both.tokens == 30);
}

TEST_CASE("a shard in which nothing counts leaves the other as it is") {
  const ShardSum some{1.0 / 3, 7, 5}, none{0, 0, 2};
  CHECK(merged(some, none).mean == some.mean);
  CHECK(merged(none, some).mean == some.mean);
  CHECK(merged(none, none).mean == 0);
  std::vector<float> g{0.1F, -3}, zero{0, 0};
  merge_gradient<float>(g, some, zero, none);
  CHECK(g == std::vector<float>{0.1F, -3});
  merge_gradient<float>(zero, none, g, some);
  CHECK(zero == std::vector<float>{0.1F, -3});
}

TEST_CASE("a merged gradient has the same bits however it is cut, and from either side") {
  const Matrix<float> a = random_matrix<float>(1, 131, 1), b = random_matrix<float>(1, 131, 2);
  const ShardSum of_a{0, 3, 0}, of_b{0, 4, 0};
  const std::vector<float> left(a.data(), a.data() + 131), right(b.data(), b.data() + 131);
  std::vector<float> whole = left, room = right;
  merge_gradient<float>(whole, of_a, room, of_b);
  CHECK(whole[7] == Approx((3 * left[7] + 4 * right[7]) / 7));
  for (const std::size_t cut : {1U, 37U, 64U, 130U}) {
    std::vector<float> parts = right, other = left;
    const std::span<float> p(parts), o(other);
    merge_gradient<float>(p.first(cut), of_b, o.first(cut), of_a);
    merge_gradient<float>(p.subspan(cut), of_b, o.subspan(cut), of_a);
    CHECK(parts == whole);
  }
}
