#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "lora/core/matrix.hpp"
#include "lora/random/philox_group.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// A dropout mask (rows, cols), a function of (random, step, row, column): each element is 0 with
/// probability p and 1 / (1 - p) otherwise, so that its mean is 1. The mask is never stored:
/// backward asks for the same numbers again.
class DropoutMask {
 public:
  /// The columns of a run that `fill` gives must start at a multiple of this.
  static constexpr Index group = philox_group_words;

  /// Describes the mask of step `step` for matrices of `cols` columns; p is in [0, 1).
  DropoutMask(const Random& random, std::uint64_t step, double p, Index cols)
      : key_(random.key()),
        step_(step),
        keep_(1 - p),
        // An element is dropped where its 32 random bits are below p * 2^32.
        threshold_(static_cast<std::uint32_t>(std::min(p * 0x1p32, 0x1p32 - 1))),
        groups_(static_cast<std::uint64_t>((cols + group - 1) / group)) {}

  /// Writes the mask of row `row`, columns [first, first + count), to `out`; `first` is a multiple
  /// of `group`.
  template <class T>
  void fill(Index row, Index first, Index count, T* out) const {
    const T kept = static_cast<T>(1 / keep_);
    std::array<std::uint32_t, philox_group_words> words;
    std::array<T, group> values;
    const std::uint64_t row_group = static_cast<std::uint64_t>(row) * groups_;
    for (Index col = 0; col < count; col += group) {
      philox_group(row_group + static_cast<std::uint64_t>((first + col) / group), step_, key_,
                   words);
      for (std::size_t i = 0; i < words.size(); ++i)
        values[i] = words[i] < threshold_ ? T(0) : kept;
      std::copy_n(values.begin(), std::min(group, count - col), out + col);
    }
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint64_t step_;
  double keep_;
  std::uint32_t threshold_;
  std::uint64_t groups_;
};

}  // namespace lora
