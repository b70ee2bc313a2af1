#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "rank_cases.hpp"

namespace lora::bench {

inline constexpr std::array<Index, 9> all_ranks{1, 2, 4, 8, 16, 32, 64, 128, 256};
inline constexpr std::array<Index, 5> all_widths{256, 768, 1024, 2048, 4096};
inline constexpr std::array<Index, 4> all_tokens{1, 16, 128, 512};

/// Returns every case at every number of tokens, width and rank: more than an hour's work.
[[nodiscard]] inline std::vector<Row> full_rows() {
  std::vector<Row> rows;
  for (const Index tokens : all_tokens)
    for (const Index width : all_widths) {
      rows.push_back({Case::frozen, tokens, width});
      for (const Case what : {Case::merged, Case::forward, Case::train, Case::train_dropout})
        for (const Index rank : all_ranks) rows.push_back({what, tokens, width, rank});
    }
  return rows;
}

/// Tells whether a row belongs to the few minutes that run by default. Around the reference shape
/// of 512 tokens, width 768 and rank 8, one size at a time goes through all of its values, for
/// inference and training; beyond that
///
/// * rank 8 has every width at every number of tokens;
/// * 512 tokens at every width, and inference of width 768 at every number of tokens, have four
///   ranks for a curve;
/// * dropout and the merged layer, which behave alike at all ranks, have rank 8.
[[nodiscard]] inline bool runs_by_default(const Row& row) {
  const bool many_tokens = row.tokens == 512, usual_width = row.width == 768;
  const Index rank = row.rank.value_or(8);
  const bool on_curve = rank == 1 || rank == 8 || rank == 64 || rank == 256;
  const bool sweeps_rank = many_tokens && (usual_width || on_curve);
  switch (row.what) {
    case Case::frozen:
      return many_tokens || usual_width;
    case Case::merged:
      return rank == 8 && many_tokens;
    case Case::forward:
      return rank == 8 || sweeps_rank || (usual_width && on_curve);
    case Case::train:
      return rank == 8 || sweeps_rank;
    case Case::train_dropout:
      return rank == 8 && (usual_width || (many_tokens && row.width == 2048));
  }
  return false;
}

/// Returns the rows that run by default, in the order of full_rows().
[[nodiscard]] inline std::vector<Row> default_rows() {
  std::vector<Row> rows = full_rows();
  std::erase_if(rows, [](const Row& row) { return !runs_by_default(row); });
  return rows;
}

}  // namespace lora::bench
