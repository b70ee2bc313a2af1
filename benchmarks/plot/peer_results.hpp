#pragma once

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
  return detail::parse_rows<PeerResults>(
      text, file, "rows", "a result of peers/run.py",
      [](const nlohmann::json& row, const std::string& where, std::vector<PeerRow>& rows) {
        if (!row.is_object() || !row.contains("case") || !row["case"].is_string() ||
            !row.contains("figures") || !row["figures"].is_object())
          throw FileError(message(where, R"(: expected an object with "case" and "figures")"));
        const nlohmann::json& figures = row["figures"];
        PeerRow parsed{.name = row["case"].get<std::string>()};
        parsed.threads = detail::parse_count(row, "threads", where);
        parsed.seconds = detail::parse_counter(figures, "seconds", where);
        parsed.faster_than_peft = detail::parse_counter(figures, "faster_than_peft", where);
        if (figures.contains("faster_than_libtorch"))
          parsed.faster_than_libtorch =
              detail::parse_counter(figures, "faster_than_libtorch", where);
        rows.push_back(std::move(parsed));
      });
}

/// Reads `file` as parse_peer_results does. Throws FileError.
[[nodiscard]] inline PeerResults read_peer_results(const std::string& file) {
  return parse_peer_results(read_text(file), file);
}

}  // namespace lora::bench
