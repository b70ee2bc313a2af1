#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// Returns the numbers 0 .. count - 1 in an order that is a function of (seed, epoch): Fisher and
/// Yates's shuffle. A run resumed at an epoch sees the order that it would have seen.
[[nodiscard]] inline std::vector<Index> shuffled(Index count, std::uint64_t seed,
                                                 std::uint64_t epoch) {
  std::vector<Index> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), Index{0});
  const Random random(seed, RandomStream::shuffling);
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[random.below(i, epoch, i)]);
  return order;
}

}  // namespace lora
