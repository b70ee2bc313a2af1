#pragma once

#include <cstdint>
#include <lora/core/error.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "results.hpp"

namespace lora::bench {

/// Holds one row of the comparison of storages.
struct StorageRow {
  std::string side;     ///< "here", "bitsandbytes", ...
  std::string storage;  ///< "NF4"
  std::int64_t tokens = 1;
  std::int64_t threads = 1;
  double bytes_per_weight = 0;
  double faster_than_float32 = 0;  ///< float32's step here over this one's
};

/// Holds the result of benchmarks/storages/run.py.
struct StorageResults {
  std::map<std::string, std::string> context;  ///< "cpu", "date", "bitsandbytes", ...
  std::vector<StorageRow> rows;                ///< in the file's order
};

/// Reads the JSON that run.py wrote; `file` is for messages. Throws FileError for text that is not
/// such JSON and numbers that are missing or out of range.
[[nodiscard]] inline StorageResults parse_storage_results(std::string_view text,
                                                          const std::string& file) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) throw FileError(message(file, ": not a JSON file, or cut short"));
  if (!json.is_object() || !json.contains("rows") || !json["rows"].is_array())
    throw FileError(message(file, ": no list \"rows\", expected a result of storages/run.py"));
  StorageResults results;
  if (const auto context = json.find("context"); context != json.end() && context->is_object())
    for (const auto& [key, value] : context->items())
      if (value.is_string()) results.context[key] = value.get<std::string>();
  std::size_t index = 0;
  for (const auto& row : json["rows"]) {
    const std::string where = message(file, ": rows[", index++, "]");
    for (const char* key : {"side", "storage"})
      if (!row.is_object() || !row.contains(key) || !row[key].is_string())
        throw FileError(message(where, ": expected an object with \"", key, "\""));
    const auto count = [&](const char* key) {
      const double number = detail::parse_counter(row, key, where);
      if (!(number >= 1 && number <= 1e6))
        throw FileError(message(where, ": ", key, " is ", number, ", expected at least 1"));
      return static_cast<std::int64_t>(number);
    };
    results.rows.push_back(
        {.side = row["side"].get<std::string>(),
         .storage = row["storage"].get<std::string>(),
         .tokens = count("tokens"),
         .threads = count("threads"),
         .bytes_per_weight = detail::parse_counter(row, "bytes_per_weight", where),
         .faster_than_float32 = detail::parse_counter(row, "faster_than_float32", where)});
  }
  if (results.rows.empty()) throw FileError(message(file, ": no rows, expected at least one"));
  return results;
}

/// Reads `file` as parse_storage_results does. Throws FileError.
[[nodiscard]] inline StorageResults read_storage_results(const std::string& file) {
  return parse_storage_results(read_text(file), file);
}

}  // namespace lora::bench
