#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <lora/core/error.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "results.hpp"

namespace lora::bench {

/// Holds one row of the comparison of mixed batches.
struct AdapterRow {
  std::string side;  ///< "here" or "PEFT"
  std::int64_t size = 1;
  std::int64_t adapters = 0;  ///< of the batch; 0: no routes
  std::int64_t threads = 1;
  double evaluation = 0;                ///< seconds
  std::optional<double> training = {};  ///< seconds, which PEFT has none of
};

/// Holds the result of benchmarks/adapters/run.py.
struct AdapterResults {
  std::map<std::string, std::string> context;  ///< "cpu", "date", "peft", ...
  std::vector<AdapterRow> rows;                ///< in the file's order

  /// Returns the row of the same size and threads with one adapter here, or null.
  [[nodiscard]] const AdapterRow* one_of(const AdapterRow& row) const {
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const AdapterRow& each) {
      return each.side == "here" && each.adapters == 1 && each.size == row.size &&
             each.threads == row.threads;
    });
    return found == rows.end() ? nullptr : &*found;
  }
};

/// Reads the JSON that run.py wrote; `file` is for messages. Throws FileError for text that is not
/// such JSON, numbers that are missing or out of range, and a size without a row of one adapter
/// here, with which the others are compared.
[[nodiscard]] inline AdapterResults parse_adapter_results(std::string_view text,
                                                          const std::string& file) {
  auto results = detail::parse_rows<AdapterResults>(
      text, file, "rows", "a result of adapters/run.py",
      [](const nlohmann::json& row, const std::string& where, std::vector<AdapterRow>& rows) {
        if (!row.is_object() || !row.contains("side") || !row["side"].is_string())
          throw FileError(message(where, ": expected an object with \"side\""));
        const bool routed = !row.contains("adapters") || row["adapters"] != 0;
        AdapterRow read{.side = row["side"].get<std::string>(),
                        .size = detail::parse_count(row, "size", where),
                        .adapters = routed ? detail::parse_count(row, "adapters", where) : 0,
                        .threads = detail::parse_count(row, "threads", where),
                        .evaluation = detail::parse_counter(row, "evaluation", where)};
        if (read.side == "here") read.training = detail::parse_counter(row, "training", where);
        rows.push_back(std::move(read));
      });
  for (std::size_t i = 0; i < results.rows.size(); ++i)
    if (results.one_of(results.rows[i]) == nullptr)
      throw FileError(message(file, ": rows[", i,
                              "]: there is no row of one adapter here of the same size and "
                              "threads to compare it with"));
  return results;
}

/// Reads `file` as parse_adapter_results does. Throws FileError.
[[nodiscard]] inline AdapterResults read_adapter_results(const std::string& file) {
  return parse_adapter_results(read_text(file), file);
}

}  // namespace lora::bench
