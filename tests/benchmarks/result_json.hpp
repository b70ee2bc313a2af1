#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lora::test {

/// Writes a row as Google Benchmark does; the frozen product ran at 10 GFLOP/s, and so did the row.
[[nodiscard]] inline std::string row_json(const std::string& name, double tokens_per_second,
                                          double over_frozen) {
  return nlohmann::json{{"name", name},
                        {"run_type", "iteration"},
                        {"iterations", 7},
                        {"tokens/s", tokens_per_second},
                        {"GFLOP/s", 10.0},
                        {"frozen_GFLOP/s", 10.0},
                        {"over_frozen", over_frozen}}
      .dump();
}

/// Writes a result of these rows, on a machine whose name is not fit for XML as it stands.
[[nodiscard]] inline std::string result_json(const std::vector<std::string>& rows) {
  nlohmann::json json{{"context",
                       {{"cpu", "Some <CPU> & more"},
                        {"date", "2024-06-07T12:34:56+00:00"},
                        {"threads", "1"},
                        {"compiler", "GNU 12"},
                        {"flags", "-O3"},
                        {"eigen", "3.4.0"},
                        {"num_cpus", 2}}},
                      {"benchmarks", nlohmann::json::array()}};
  for (const std::string& row : rows) json["benchmarks"].push_back(nlohmann::json::parse(row));
  return json.dump();
}

}  // namespace lora::test
