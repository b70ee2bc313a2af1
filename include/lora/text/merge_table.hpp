#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace lora::text {

/// A table of the merges of byte-pair encoding, in which pairs of ids are looked up. It is sorted,
/// so that a look-up costs the logarithm of its size whatever the ids are.
class MergeTable {
 public:
  /// Two neighbours and what they become.
  struct Merge {
    int left;
    int right;
    int id;
  };

  /// A merge that was found: its place in the list, and what it makes.
  struct Match {
    std::size_t rank;
    int id;
  };

  MergeTable() = default;

  /// Makes the table of a list in which earlier merges go first; of equal pairs the last counts.
  /// Where `ranks` are given, one a merge, the lower goes first, and equal ones from the left.
  explicit MergeTable(std::span<const Merge> merges, std::span<const std::size_t> ranks = {}) {
    entries_.reserve(merges.size());
    for (std::size_t i = 0; i < merges.size(); ++i)
      entries_.push_back(
          {key(merges[i].left, merges[i].right), {ranks.empty() ? i : ranks[i], merges[i].id}});
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      return a.pair < b.pair || (a.pair == b.pair && a.match.rank > b.match.rank);
    });
    const auto same = [](const Entry& a, const Entry& b) { return a.pair == b.pair; };
    entries_.erase(std::unique(entries_.begin(), entries_.end(), same), entries_.end());
  }

  /// Counts the pairs, each once.
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

  /// Returns the merge of two neighbours, if there is one.
  [[nodiscard]] std::optional<Match> find(int left, int right) const {
    const std::uint64_t pair = key(left, right);
    const auto found = std::lower_bound(
        entries_.begin(), entries_.end(), pair,
        [](const Entry& entry, std::uint64_t wanted) { return entry.pair < wanted; });
    if (found == entries_.end() || found->pair != pair) return std::nullopt;
    return found->match;
  }

 private:
  struct Entry {
    std::uint64_t pair;
    Match match;
  };

  [[nodiscard]] static std::uint64_t key(int left, int right) {
    return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 |
           static_cast<std::uint32_t>(right);
  }

  std::vector<Entry> entries_;
};

}  // namespace lora::text
