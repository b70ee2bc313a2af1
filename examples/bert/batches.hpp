#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <lora/core/matrix.hpp>
#include <lora/random/shuffle.hpp>
#include <numeric>
#include <vector>

namespace bert {

using lora::Index;

/// Lists the texts of one step, by their positions.
using Batch = std::vector<Index>;

/// Returns the batches of an epoch: every text once, in an order that is a function of (seed,
/// epoch). So that little is padded, the shuffled texts are taken in runs of 16 batches, each run
/// is sorted by length and cut into batches, and the batches of all runs are shuffled. The last
/// batch that is cut may be smaller.
[[nodiscard]] inline std::vector<Batch> batches_of_epoch(const std::vector<Index>& lengths,
                                                         Index batch, std::uint64_t seed,
                                                         std::uint64_t epoch) {
  const auto count = static_cast<Index>(lengths.size());
  const Index run = 16 * batch;
  std::vector<Index> order = lora::shuffled(count, seed, 2 * epoch);
  std::vector<Batch> cut;
  for (Index first = 0; first < count; first += run) {
    const auto begin = order.begin() + first;
    const auto end = order.begin() + std::min(first + run, count);
    // Stable, so that the order is the same with every standard library.
    std::stable_sort(begin, end, [&](Index a, Index b) {
      return lengths[static_cast<std::size_t>(a)] > lengths[static_cast<std::size_t>(b)];
    });
    for (auto at = begin; at != end;) {
      const auto stop = at + std::min<std::ptrdiff_t>(batch, end - at);
      cut.emplace_back(at, stop);
      at = stop;
    }
  }
  std::vector<Batch> batches;
  for (const Index from : lora::shuffled(static_cast<Index>(cut.size()), seed, 2 * epoch + 1))
    batches.push_back(cut[static_cast<std::size_t>(from)]);
  return batches;
}

/// Returns the batches in which texts are scored: by length, whole.
[[nodiscard]] inline std::vector<Batch> batches_by_length(const std::vector<Index>& lengths,
                                                          Index batch) {
  std::vector<Index> order(lengths.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    return lengths[static_cast<std::size_t>(a)] > lengths[static_cast<std::size_t>(b)];
  });
  std::vector<Batch> batches;
  for (auto at = order.begin(); at != order.end();) {
    const auto stop = at + std::min<std::ptrdiff_t>(batch, order.end() - at);
    batches.emplace_back(at, stop);
    at = stop;
  }
  return batches;
}

}  // namespace bert
