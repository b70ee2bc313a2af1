#include <lora/nn/attention_head.hpp>

#include <array>
#include <vector>

#include "support/catch.hpp"

using namespace lora;

namespace {

AttentionHead head_over(const Sequences& queries, const Sequences& keys, Index b, bool causal,
                        Index window) {
  return {&queries, &keys, queries[b], keys[b], 0, causal, window};
}

std::array<Index, 2> seen(const VisibleKeys& keys) { return {keys.begin, keys.end}; }

}  // namespace

TEST_CASE("a query sees all keys, or those up to its own, or the last of these") {
  const Sequences five = Sequences::packed(std::array{3, 5});
  const AttentionHead all = head_over(five, five, 1, false, 0);
  CHECK(seen(all.visible(0)) == std::array<Index, 2>{0, 5});
  const AttentionHead causal = head_over(five, five, 1, true, 0);
  CHECK(seen(causal.visible(0)) == std::array<Index, 2>{0, 1});
  CHECK(seen(causal.visible(4)) == std::array<Index, 2>{0, 5});
  const AttentionHead window = head_over(five, five, 1, true, 2);
  CHECK(seen(window.visible(0)) == std::array<Index, 2>{0, 1});
  CHECK(seen(window.visible(4)) == std::array<Index, 2>{3, 5});
  CHECK(seen(window.visible(2, 3)) == std::array<Index, 2>{1, 5});
}

TEST_CASE("the last query is the last key's token, and chosen rows know their own") {
  const Sequences keys = Sequences::packed(std::array{5}), last = Sequences::packed(std::array{2});
  CHECK(seen(head_over(last, keys, 0, true, 0).visible(0)) == std::array<Index, 2>{0, 4});
  // More queries than keys: the first ones see nothing.
  CHECK(head_over(keys, last, 0, true, 0).visible(1).size() == 0);
  Sequences chosen;
  chosen.set_selected(keys, std::vector<Index>{1, 3});
  CHECK(seen(head_over(chosen, keys, 0, true, 0).visible(0)) == std::array<Index, 2>{0, 2});
  CHECK(seen(head_over(chosen, keys, 0, true, 3).visible(1)) == std::array<Index, 2>{1, 4});
}

TEST_CASE("keys count from the first token of a sequence that begins with padding") {
  const std::vector<int> mask{0, 0, 1, 1, 1};
  const Sequences left = Sequences::masked(mask, 5);
  Sequences chosen;
  chosen.set_selected(left, std::vector<Index>{3});
  CHECK(seen(head_over(chosen, left, 0, true, 0).visible(0)) == std::array<Index, 2>{0, 2});
}
