#pragma once

#include <cstdint>
#include <lora/core/error.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "results.hpp"

namespace lora::bench {

/// Holds one row of the comparison with PyTorch.
struct PeerRow {
  std::string name;  ///< "train/tokens:512/width:1024/rank:16"
  std::int64_t threads = 1;
  double seconds = 0;           ///< of this library
  double faster_than_peft = 0;  ///< PyTorch with PEFT's time over this library's
  std::optional<double> faster_than_libtorch = {};  ///< the C++ API's time over this library's
};

/// Holds the result of benchmarks/peers/run.py.
struct PeerResults {
  std::map<std::string, std::string> context;  ///< "cpu", "date", "torch", ...
  std::vector<PeerRow> rows;                   ///< in the file's order
};

/// Reads the JSON that run.py wrote; `file` is for messages. Throws FileError for text that is not
/// such JSON and numbers that are missing or out of range (1e-9 to 1e18).
[[nodiscard]] inline PeerResults parse_peer_results(std::string_view text,
                                                    const std::string& file) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) throw FileError(message(file, ": not a JSON file, or cut short"));
  if (!json.is_object() || !json.contains("rows") || !json["rows"].is_array())
    throw FileError(message(file, ": no list \"rows\", expected a result of peers/run.py"));
  PeerResults results;
  if (const auto context = json.find("context"); context != json.end() && context->is_object())
    for (const auto& [key, value] : context->items())
      if (value.is_string()) results.context[key] = value.get<std::string>();
  std::size_t index = 0;
  for (const auto& row : json["rows"]) {
    const std::string where = message(file, ": rows[", index++, "]");
    if (!row.is_object() || !row.contains("case") || !row["case"].is_string() ||
        !row.contains("figures") || !row["figures"].is_object())
      throw FileError(message(where, R"(: expected an object with "case" and "figures")"));
    const nlohmann::json& figures = row["figures"];
    PeerRow parsed{.name = row["case"].get<std::string>()};
    const double threads = detail::parse_counter(row, "threads", where);
    if (!(threads >= 1 && threads <= 1e6))
      throw FileError(message(where, ": threads is ", threads, ", expected at least 1"));
    parsed.threads = static_cast<std::int64_t>(threads);
    parsed.seconds = detail::parse_counter(figures, "seconds", where);
    parsed.faster_than_peft = detail::parse_counter(figures, "faster_than_peft", where);
    if (figures.contains("faster_than_libtorch"))
      parsed.faster_than_libtorch = detail::parse_counter(figures, "faster_than_libtorch", where);
    results.rows.push_back(std::move(parsed));
  }
  if (results.rows.empty()) throw FileError(message(file, ": no rows, expected at least one"));
  return results;
}

/// Reads `file` as parse_peer_results does. Throws FileError.
[[nodiscard]] inline PeerResults read_peer_results(const std::string& file) {
  return parse_peer_results(read_text(file), file);
}

}  // namespace lora::bench
