#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <lora/core/error.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "row_name.hpp"

namespace lora::bench {

/// Holds one row of a benchmark's result, with its counters.
struct Measurement {
  RowName row;
  double tokens_per_second = 0;
  double gflops = 0;         ///< useful GFLOP/s
  double frozen_gflops = 0;  ///< GFLOP/s of the frozen product, timed alternately with the row
  double over_frozen = 0;    ///< time over that of the frozen product
};

/// Holds a benchmark's result: its rows, and the texts that say what they were measured on.
struct Results {
  std::map<std::string, std::string> context;  ///< "cpu", "date", "threads", ...
  std::vector<Measurement> rows;               ///< in the file's order
};

namespace detail {

[[nodiscard]] inline double parse_counter(const nlohmann::json& row, const char* name,
                                          const std::string& where) {
  const auto counter = row.find(name);
  if (counter == row.end() || !counter->is_number())
    throw FileError(message(where, ": no ", name, ", expected a number"));
  const auto number = counter->get<double>();
  // What a machine may reach, and what can be drawn.
  constexpr double least = 1e-9, most = 1e18;
  if (!(number >= least && number <= most))
    throw FileError(message(where, ": ", name, " is ", number, ", expected a number from ", least,
                            " to ", most));
  return number;
}

[[nodiscard]] inline Measurement parse_row(const nlohmann::json& row, const std::string& where) {
  const auto name = row.find("name");
  if (name == row.end() || !name->is_string())
    throw FileError(message(where, ": no name, expected a string"));
  const std::string here = message(where, " (", name->get<std::string>(), ")");
  // Rows that failed are marked with the first, since 1.8 rows that were left out with the second.
  for (const char* flag : {"error_occurred", "skipped"})
    if (row.contains(flag) && row[flag] != false)
      throw FileError(message(here, ": the benchmark did not finish"));
  const std::optional<RowName> parsed = parse_row_name(name->get<std::string>());
  if (!parsed)
    throw FileError(message(here, ": expected a name like forward/tokens:512/width:768/rank:8"));
  return {*parsed, parse_counter(row, "tokens/s", here), parse_counter(row, "GFLOP/s", here),
          parse_counter(row, "frozen_GFLOP/s", here), parse_counter(row, "over_frozen", here)};
}

/// Reads a Result, a struct of `context` and `rows`, from JSON: add(row, where, rows) appends what
/// stands in one element of the list that is named `list`. Throws FileError, as add may; `file` and
/// `expected` ("a result of ...") are for messages.
template <class Result, class Add>
[[nodiscard]] Result parse_rows(std::string_view text, const std::string& file, const char* list,
                                const char* expected, const Add& add) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) throw FileError(message(file, ": not a JSON file, or cut short"));
  if (!json.is_object() || !json.contains(list) || !json[list].is_array())
    throw FileError(message(file, ": no list \"", list, "\", expected ", expected));
  Result result;
  if (const auto context = json.find("context"); context != json.end() && context->is_object())
    for (const auto& [key, value] : context->items())
      if (value.is_string()) result.context[key] = value.template get<std::string>();
  std::size_t index = 0;
  for (const auto& row : json[list])
    add(row, message(file, ": ", list, "[", index++, "]"), result.rows);
  if (result.rows.empty()) throw FileError(message(file, ": no rows, expected at least one"));
  return result;
}

/// Reads a number of things from a row: a whole number from 1 to a million. Throws FileError.
[[nodiscard]] inline std::int64_t parse_count(const nlohmann::json& row, const char* name,
                                              const std::string& where) {
  const double number = parse_counter(row, name, where);
  if (!(number >= 1 && number <= 1e6))
    throw FileError(message(where, ": ", name, " is ", number, ", expected at least 1"));
  return static_cast<std::int64_t>(number);
}

}  // namespace detail

/// Reads the JSON that rank_throughput's --benchmark_out wrote; `file` is for messages. Means and
/// deviations of repeated runs are left out. Throws FileError for text that is not such JSON, rows
/// that did not finish and counters that are missing or out of range (1e-9 to 1e18).
[[nodiscard]] inline Results parse_results(std::string_view text, const std::string& file) {
  return detail::parse_rows<Results>(
      text, file, "benchmarks", "a Google Benchmark result",
      [](const nlohmann::json& row, const std::string& where, std::vector<Measurement>& rows) {
        if (!row.is_object()) throw FileError(message(where, ": expected an object"));
        if (row.contains("run_type") && row["run_type"] == "aggregate") return;
        rows.push_back(detail::parse_row(row, where));
      });
}

/// Returns what `file` holds. Throws FileError.
[[nodiscard]] inline std::string read_text(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw FileError(message(file, ": cannot be opened"));
  std::ostringstream text;
  if (!(text << in.rdbuf())) throw FileError(message(file, ": cannot be read, or is empty"));
  return text.str();
}

/// Reads `file` as parse_results does. Throws FileError.
[[nodiscard]] inline Results read_results(const std::string& file) {
  return parse_results(read_text(file), file);
}

}  // namespace lora::bench
