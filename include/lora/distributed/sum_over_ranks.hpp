#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lora/distributed/meeting.hpp"
#include "lora/distributed/mpi.hpp"
#include "lora/distributed/shard_sum.hpp"

namespace lora::distributed {

/// Merges what every rank has of a batch, whose rows the ranks have in their order, into what the
/// whole batch came to, on all of them: `sum`, and `gradient`, which is that of the mean.
///
/// The ranks, 2^k of them, are the leaves of a binary tree of neighbours: rank 0 and 1, 2 and 3,
/// then those pairs. Each element is summed along it, so that the bits are those of one rank that
/// sums a tree of as many leaves. At each level half of what is left of the gradient goes to the
/// partner (reduce-scatter by halving), and the sums come back the same way (Rabenseifner,
/// "Optimization of collective reduction operations", 2004): a rank sends 2 (1 - 1/R) times the
/// gradient in 2 log2 R messages, and log2 R short ones.
///
/// `room` is working memory, half as long as `gradient` (rounded up). `check` stands for everything
/// in which the ranks have to agree: throws StateError on every rank where two differ, or some do
/// something else (see Meeting), before gradients of different length or meaning meet. Throws
/// MpiError.
template <class T>
void sum_over_ranks(const Communicator& ranks, ShardSum& sum, std::span<T> gradient,
                    std::span<T> room, std::uint64_t check) {
  struct Range {
    std::size_t first, last;
    [[nodiscard]] std::size_t size() const { return last - first; }
    [[nodiscard]] Range half(bool upper) const {
      const std::size_t middle = first + size() / 2;
      return upper ? Range{middle, last} : Range{first, middle};
    }
  };
  const auto part = [&](const Range& range) { return gradient.subspan(range.first, range.size()); };
  const auto is_upper = [&](int level) { return (ranks.rank() >> level & 1) != 0; };
  std::array<Range, 32> ranges;  // before each level
  Range range{0, gradient.size()};
  Meeting meeting(ranks, {.check = check});
  int level = 0;
  for (; level < meeting.levels(); ++level) {
    const int partner = meeting.partner(level);
    const std::optional<ShardSum> theirs = meeting.at(level, sum);
    if (!theirs) continue;  // the ranks of the next levels have to learn it too
    ranges[static_cast<std::size_t>(level)] = range;
    const Range kept = range.half(is_upper(level)), given = range.half(!is_upper(level));
    const std::span<T> received = room.first(kept.size());
    ranks.exchange<T>(partner, part(given), received);
    merge_gradient(part(kept), sum, received, *theirs);
    sum = is_upper(level) ? merged(*theirs, sum) : merged(sum, *theirs);
    range = kept;
  }
  meeting.require();
  while (level-- > 0) {
    const Range whole = ranges[static_cast<std::size_t>(level)];
    ranks.exchange<T>(ranks.rank() ^ 1 << level, part(range), part(whole.half(!is_upper(level))));
    range = whole;
  }
}

}  // namespace lora::distributed
