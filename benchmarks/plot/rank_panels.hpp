#pragma once

#include <algorithm>
#include <cstdint>
#include <lora/core/error.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../interleaved.hpp"
#include "quantity.hpp"
#include "results.hpp"

namespace lora::bench {

/// Holds one line of a panel: a value at each rank, of layers of one width.
struct RankSeries {
  using Points = std::vector<std::pair<std::int64_t, double>>;  ///< (rank, value), ranks ascending

  std::int64_t width = 0;
  Points measured;
  Points limits;  ///< what the number of operations allows; empty for absolute quantities
};

/// Holds the lines of one case.
struct RankPanel {
  std::string what;                ///< "forward"
  std::vector<RankSeries> series;  ///< widths ascending
};

/// Returns the largest number of tokens of any row; 0 for no rows.
[[nodiscard]] inline std::int64_t most_tokens(const Results& results) {
  std::int64_t most = 0;
  for (const Measurement& row : results.rows) most = std::max(most, row.row.tokens);
  return most;
}

/// Returns, for each width, the tokens per second of the frozen product alone: the median over all
/// rows of `tokens` tokens, each of which has timed it.
[[nodiscard]] inline std::map<std::int64_t, double> frozen_speeds(const Results& results,
                                                                  std::int64_t tokens) {
  std::map<std::int64_t, std::vector<double>> values;
  for (const Measurement& row : results.rows)
    if (row.row.tokens == tokens)
      values[row.row.width].push_back(row.tokens_per_second * row.over_frozen);
  std::map<std::int64_t, double> medians;
  for (const auto& [width, all] : values) medians[width] = median(all);
  return medians;
}

/// Sorts the rows of `tokens` tokens into panels, in the file's order, one for each case that was
/// measured at two ranks or more of one width. Of rows that were repeated the median counts.
/// Throws FileError, naming `file`, if that leaves nothing to draw.
[[nodiscard]] inline std::vector<RankPanel> rank_panels(const Results& results, Quantity quantity,
                                                        std::int64_t tokens,
                                                        const std::string& file) {
  using ByRank = std::map<std::int64_t, std::vector<const Measurement*>>;
  std::vector<std::string> cases;
  std::map<std::string, std::map<std::int64_t, ByRank>> rows;  // case -> width -> rank -> rows
  for (const Measurement& measurement : results.rows) {
    const RowName& row = measurement.row;
    if (row.tokens != tokens || !row.rank) continue;
    if (!rows.contains(row.what)) cases.push_back(row.what);
    rows[row.what][row.width][*row.rank].push_back(&measurement);
  }
  std::vector<RankPanel> panels;
  for (const std::string& what : cases) {
    RankPanel panel{what, {}};
    bool has_line = false;
    for (const auto& [width, by_rank] : rows[what]) {
      RankSeries series{width, {}, {}};
      for (const auto& [rank, repeated] : by_rank) {
        std::vector<double> values, limits;
        for (const Measurement* row : repeated) {
          values.push_back(value_of(*row, quantity));
          if (const auto limit = limit_of(*row, quantity)) limits.push_back(*limit);
        }
        series.measured.emplace_back(rank, median(values));
        if (!limits.empty()) series.limits.emplace_back(rank, median(limits));
      }
      has_line = has_line || series.measured.size() > 1;
      panel.series.push_back(std::move(series));
    }
    if (has_line) panels.push_back(std::move(panel));
  }
  if (panels.empty())
    throw FileError(message(file, ": no case has rows of two ranks at ", tokens,
                            " tokens: there is no line to draw"));
  return panels;
}

}  // namespace lora::bench
