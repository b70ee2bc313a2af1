#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "lora/core/matrix.hpp"

namespace lora {

/// Some rows of a matrix, sorted into groups: a permutation of them in which the rows of a group
/// are neighbours. Rows of no group are left out. A value; what the groups stand for is its user's.
///
/// A place is a number in the permutation, a row one of the matrix.
class RowGroups {
 public:
  /// Places [first, first + count), of one group.
  struct Run {
    Index group = 0;
    Index first = 0;
    Index count = 0;
  };

  /// The rows of a band, the part of a group that a task computes: whole tiles of the kernels.
  static constexpr Index band_rows = 16;

  /// Forgets all groups, to sort a matrix of `rows` rows. Keeps the memory.
  void clear(Index rows) {
    rows_ = rows;
    order_.clear();
    groups_.clear();
    bands_.clear();
  }

  /// Begins the next group.
  void begin_group() {
    groups_.push_back({static_cast<Index>(groups_.size()), static_cast<Index>(order_.size()), 0});
  }

  /// Adds rows [first, first + count) to the newest group.
  void add(Index first, Index count) {
    for (Index row = first; row < first + count; ++row) order_.push_back(row);
    groups_.back().count += count;
  }

  /// Cuts the groups into bands; call it after the last `add`.
  void finish() {
    for (const Run& group : groups_)
      for (Index i = 0; i < group.count; i += band_rows)
        bands_.push_back({group.group, group.first + i, std::min(band_rows, group.count - i)});
  }

  /// Returns the rows of the matrix, those of no group included.
  [[nodiscard]] Index rows() const { return rows_; }

  /// Returns the rows of all groups together.
  [[nodiscard]] Index places() const { return static_cast<Index>(order_.size()); }

  [[nodiscard]] const std::vector<Run>& groups() const { return groups_; }
  [[nodiscard]] const std::vector<Run>& bands() const { return bands_; }

  /// Returns the row at `place`.
  [[nodiscard]] Index row(Index place) const { return order_[static_cast<std::size_t>(place)]; }

  /// Tells whether the rows of a run are neighbours in the matrix, in their order.
  [[nodiscard]] bool neighbours(const Run& run) const {
    for (Index i = 1; i < run.count; ++i)
      if (row(run.first + i) != row(run.first) + i) return false;
    return true;
  }

 private:
  Index rows_ = 0;
  std::vector<Index> order_;
  std::vector<Run> groups_;
  std::vector<Run> bands_;
};

}  // namespace lora
