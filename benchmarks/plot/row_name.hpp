#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lora::bench {

/// Holds what a row's name says, for instance `train/tokens:512/width:768/rank:8/manual_time`.
struct RowName {
  std::string what;                       ///< "train"
  std::int64_t tokens = 0;                ///< above 0
  std::int64_t width = 0;                 ///< above 0
  std::optional<std::int64_t> rank = {};  ///< above 0; none in rows of the frozen weight alone

  friend bool operator==(const RowName&, const RowName&) = default;
};

/// Takes a row's name apart, passing over what Google Benchmark appends (`manual_time`,
/// `repeats:3`); none if the case, tokens or width is missing or a number is not above 0.
[[nodiscard]] inline std::optional<RowName> parse_row_name(std::string_view name) {
  RowName row;
  std::size_t slash = name.find('/');
  row.what = name.substr(0, slash);
  while (slash != std::string_view::npos) {
    name.remove_prefix(slash + 1);
    slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    const std::size_t colon = part.find(':');
    const std::string_view key = part.substr(0, colon);
    if (colon == std::string_view::npos || (key != "tokens" && key != "width" && key != "rank"))
      continue;
    const std::string_view digits = part.substr(colon + 1);
    const char* end = digits.data() + digits.size();
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(digits.data(), end, number);
    if (error != std::errc() || stop != end || number <= 0) return std::nullopt;
    if (key == "tokens")
      row.tokens = number;
    else if (key == "width")
      row.width = number;
    else
      row.rank = number;
  }
  if (row.what.empty() || row.tokens == 0 || row.width == 0) return std::nullopt;
  return row;
}

}  // namespace lora::bench
