#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../support/table.hpp"

namespace serving {

/// Returns the p-th percentile of some numbers by nearest rank: the least of them that p percent do
/// not exceed. There is at least one.
[[nodiscard]] inline double percentile(std::vector<double> numbers, double p) {
  const auto size = static_cast<double>(numbers.size());
  const auto rank = static_cast<std::ptrdiff_t>(std::max(1.0, std::ceil(p / 100 * size)));
  const auto place = numbers.begin() + (rank - 1);
  std::nth_element(numbers.begin(), place, numbers.end());
  return *place;
}

/// What was served, and how fast, by adapter.
class Statistics {
 public:
  /// Counts a request that was answered: with so many tokens, the first of them and the last so
  /// many seconds after the request was read.
  void add_answer(const std::string& adapter, std::int64_t tokens, double first, double last) {
    Row& row = rows_[adapter];
    row.tokens += tokens;
    row.first.push_back(first);
    row.last.push_back(last);
  }

  /// Counts a step of so many seconds, which computed for these adapters.
  void add_step(const std::set<std::string>& adapters, double duration) {
    for (const std::string& adapter : adapters) rows_[adapter].busy += duration;
    busy_ += duration;
  }

  /// Prints a table: tokens per second of the time in which an adapter had requests in the batch,
  /// percentiles of the time to the first token and to the end. Nothing where nothing was answered.
  void print(std::ostream& out) const {
    Row all{.busy = busy_};
    examples::Table table({"adapter", "requests", "tokens", "tokens/s", "first p50", "p90", "p99",
                           "answer p50", "p90", "p99"});
    for (const auto& [name, row] : rows_) {
      if (row.last.empty()) continue;
      table.add(cells(name, row));
      all.tokens += row.tokens;
      all.first.insert(all.first.end(), row.first.begin(), row.first.end());
      all.last.insert(all.last.end(), row.last.begin(), row.last.end());
    }
    if (all.last.empty()) return;
    table.add(cells("all", all));
    table.print(out);
    out << "seconds from reading a request to the first token of its answer, and to its end\n";
  }

 private:
  struct Row {
    std::int64_t tokens = 0;
    double busy = 0;  // seconds
    std::vector<double> first = {}, last = {};
  };

  static std::vector<std::string> cells(const std::string& name, const Row& row) {
    std::vector<std::string> cells{
        name, std::to_string(row.last.size()), std::to_string(row.tokens),
        row.busy > 0 ? examples::fixed(static_cast<double>(row.tokens) / row.busy, 1) : "-"};
    for (const auto* times : {&row.first, &row.last})
      for (const double p : {50, 90, 99})
        cells.push_back(examples::fixed(percentile(*times, p), 3));
    return cells;
  }

  std::map<std::string, Row> rows_;
  double busy_ = 0;
};

}  // namespace serving
