#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/matrix.hpp"
#include "lora/random/shuffle.hpp"

namespace lora::train {

/// The examples of one step, by their positions in the training data.
using Batch = std::vector<Index>;

/// How large a batch may be.
struct BatchLimits {
  Index size = 32;   ///< examples, at most
  Index tokens = 0;  ///< padded tokens (examples times the longest of them), at most; 0: any
};

namespace detail {

inline void validate(const BatchLimits& limits) {
  if (limits.size < 1)
    throw ConfigError(message("BatchLimits: size is ", limits.size, ", expected at least 1"));
  if (limits.tokens < 0)
    throw ConfigError(
        message("BatchLimits: tokens is ", limits.tokens, ", expected 0 (any) or more"));
}

/// Returns the length of the example at position `at`.
[[nodiscard]] inline Index length_of(const std::vector<Index>& lengths, Index at) {
  return lengths[static_cast<std::size_t>(at)];
}

/// Sorts positions from the longest example to the shortest, stably, so that the order is the same
/// with every standard library, cuts them into batches and appends these to `batches`.
inline void cut_by_length(std::span<Index> positions, const std::vector<Index>& lengths,
                          const BatchLimits& limits, std::vector<Batch>& batches) {
  std::stable_sort(positions.begin(), positions.end(),
                   [&](Index a, Index b) { return length_of(lengths, a) > length_of(lengths, b); });
  for (std::size_t at = 0; at < positions.size();) {
    auto count = static_cast<std::size_t>(limits.size);
    if (limits.tokens > 0) {
      const Index longest = std::max<Index>(1, length_of(lengths, positions[at]));
      count =
          std::min(count, static_cast<std::size_t>(std::max<Index>(1, limits.tokens / longest)));
    }
    const auto some = positions.subspan(at, std::min(count, positions.size() - at));
    batches.emplace_back(some.begin(), some.end());
    at += some.size();
  }
}

}  // namespace detail

/// Returns the batches of an epoch over `count` examples that are all alike: every example once, in
/// an order that is a function of (seed, epoch), so that a run that is resumed meets the same ones.
/// The last batch may be smaller. Throws ConfigError for a size below 1.
[[nodiscard]] inline std::vector<Batch> shuffled_batches(Index count, Index size,
                                                         std::uint64_t seed, std::uint64_t epoch) {
  detail::validate({.size = size});
  const std::vector<Index> order = shuffled(count, seed, epoch);
  std::vector<Batch> batches;
  for (Index first = 0; first < count; first += size)
    batches.emplace_back(order.begin() + first, order.begin() + std::min(first + size, count));
  return batches;
}

/// Returns the batches of an epoch over examples of these lengths (tokens of a text): every example
/// once, in an order that is a function of (seed, epoch). So that little is padded, the shuffled
/// examples are taken in runs of 16 batches, each run is sorted by length and cut, and the batches
/// of all runs are shuffled. With a limit of tokens the number of batches can differ between
/// epochs; an example that is longer than the limit is a batch by itself. Throws ConfigError for
/// limits out of range.
[[nodiscard]] inline std::vector<Batch> batches_by_length(const std::vector<Index>& lengths,
                                                          const BatchLimits& limits,
                                                          std::uint64_t seed, std::uint64_t epoch) {
  detail::validate(limits);
  std::vector<Index> order = shuffled(static_cast<Index>(lengths.size()), seed, 2 * epoch);
  const std::size_t run = 16 * static_cast<std::size_t>(limits.size);
  std::vector<Batch> cut;
  for (std::size_t first = 0; first < order.size(); first += run)
    detail::cut_by_length(std::span(order).subspan(first, std::min(run, order.size() - first)),
                          lengths, limits, cut);
  std::vector<Batch> batches;
  batches.reserve(cut.size());
  for (const Index from : shuffled(static_cast<Index>(cut.size()), seed, 2 * epoch + 1))
    batches.push_back(cut[static_cast<std::size_t>(from)]);
  return batches;
}

/// Returns batches for scoring, where no order is better than another: from the longest example to
/// the shortest. Throws ConfigError for limits out of range.
[[nodiscard]] inline std::vector<Batch> batches_by_length(const std::vector<Index>& lengths,
                                                          const BatchLimits& limits) {
  detail::validate(limits);
  std::vector<Index> order(lengths.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::vector<Batch> batches;
  detail::cut_by_length(order, lengths, limits, batches);
  return batches;
}

}  // namespace lora::train
