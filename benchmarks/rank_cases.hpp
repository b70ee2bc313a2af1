#pragma once

#include <lora/core/matrix.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace lora::bench {

/// Names what a row of the benchmark times.
enum class Case {
  frozen,         ///< y = x W^T through the layer's own FrozenWeight: what all others are held to
  merged,         ///< forward(x, y) of a layer whose adapter is merged
  forward,        ///< forward(x, y): inference
  train,          ///< forward(x, tape, y), then backward with dx
  train_dropout,  ///< the same with dropout of 0.1 on the low-rank path
};

/// Describes one row: W is (width, width), x is (tokens, width).
struct Row {
  Case what = Case::frozen;
  Index tokens = 1;
  Index width = 1;
  std::optional<Index> rank = {};  ///< none for Case::frozen

  friend bool operator==(const Row&, const Row&) = default;
};

/// Returns the name that rows of `what` begin with.
[[nodiscard]] constexpr std::string_view name_of(Case what) {
  switch (what) {
    case Case::frozen:
      return "frozen";
    case Case::merged:
      return "merged";
    case Case::forward:
      return "forward";
    case Case::train:
      return "train";
    case Case::train_dropout:
      return "train_dropout";
  }
  return "";
}

/// Returns the row's name in the style of Google Benchmark's own arguments:
/// `train/tokens:512/width:768/rank:8`. The plot reads it back.
[[nodiscard]] inline std::string name_of(const Row& row) {
  std::string name = message(name_of(row.what), "/tokens:", row.tokens, "/width:", row.width);
  if (row.rank) name += message("/rank:", *row.rank);
  return name;
}

/// Counts the useful floating-point operations of one call, two for each multiply-add of the
/// cheapest known order of products; N tokens, I in, O out, R rank:
///
///     frozen, merged:       N I O                      x W^T
///     forward:              N I O + N R (I + O)        and x A^T, (x A^T) B^T
///     train, train_dropout: 2 N I O + 3 N R (I + O)    forward; dy W; dy B, dy^T (x A^T);
///                                                      g^T x, g A
///
/// Scaling, adding a bias, drawing a mask and clearing memory count nothing.
[[nodiscard]] constexpr double useful_flops(const Row& row) {
  const auto n = static_cast<double>(row.tokens), width = static_cast<double>(row.width);
  const double frozen = n * width * width;
  const double low_rank = n * static_cast<double>(row.rank.value_or(0)) * (width + width);
  switch (row.what) {
    case Case::frozen:
    case Case::merged:
      return 2 * frozen;
    case Case::forward:
      return 2 * (frozen + low_rank);
    case Case::train:
    case Case::train_dropout:
      return 2 * (2 * frozen + 3 * low_rank);
  }
  return 0;
}

}  // namespace lora::bench
