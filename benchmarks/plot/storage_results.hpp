#pragma once

#include <cstdint>
#include <lora/core/error.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
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
  return detail::parse_rows<StorageResults>(
      text, file, "rows", "a result of storages/run.py",
      [](const nlohmann::json& row, const std::string& where, std::vector<StorageRow>& rows) {
        for (const char* key : {"side", "storage"})
          if (!row.is_object() || !row.contains(key) || !row[key].is_string())
            throw FileError(message(where, ": expected an object with \"", key, "\""));
        rows.push_back(
            {.side = row["side"].get<std::string>(),
             .storage = row["storage"].get<std::string>(),
             .tokens = detail::parse_count(row, "tokens", where),
             .threads = detail::parse_count(row, "threads", where),
             .bytes_per_weight = detail::parse_counter(row, "bytes_per_weight", where),
             .faster_than_float32 = detail::parse_counter(row, "faster_than_float32", where)});
      });
}

/// Reads `file` as parse_storage_results does. Throws FileError.
[[nodiscard]] inline StorageResults read_storage_results(const std::string& file) {
  return parse_storage_results(read_text(file), file);
}

}  // namespace lora::bench
