#pragma once

#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "axis.hpp"
#include "rank_panels.hpp"

namespace lora::bench {

/// Returns the heading of a case's panel; an unknown case is its own.
[[nodiscard]] inline std::string case_title(const std::string& what) {
  if (what == "forward") return "Inference: forward";
  if (what == "train") return "Training step: forward and backward";
  if (what == "train_dropout") return "Training step with dropout";
  if (what == "merged") return "Inference, adapter merged";
  return what;
}

/// Returns the legend of a line: "width 768".
[[nodiscard]] inline std::string width_title(std::int64_t width) {
  return "width " + std::to_string(width);
}

/// Explains the dashed lines.
inline constexpr const char* limit_title =
    "the same width if every operation ran at the frozen product's speed";

/// Says in words what the lines show, for who cannot see them.
[[nodiscard]] inline std::string description(const std::vector<RankPanel>& panels,
                                             const std::string& y_label) {
  std::string text = "Line chart, " + y_label + " against rank.";
  for (const RankPanel& panel : panels) {
    text += " " + case_title(panel.what) + ":";
    for (const RankSeries& series : panel.series) {
      const auto& [first, at_first] = series.measured.front();
      const auto& [last, at_last] = series.measured.back();
      text += " " + width_title(series.width) + ", " + short_number(at_first) + " at rank " +
              std::to_string(first);
      if (last != first)
        text += " and " + short_number(at_last) + " at rank " + std::to_string(last);
      text += ";";
    }
    text.back() = '.';
  }
  return text;
}

/// Breaks `text` between words into lines of at most `columns` bytes, longer words aside.
[[nodiscard]] inline std::vector<std::string> wrapped(const std::string& text,
                                                      std::size_t columns) {
  std::vector<std::string> lines;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (lines.empty() || lines.back().size() + 1 + word.size() > columns)
      lines.push_back(word);
    else
      lines.back() += " " + word;
  }
  return lines;
}

/// Returns what a result's context has under `key` between two texts, or nothing where it has none.
[[nodiscard]] inline std::string context_part(const std::map<std::string, std::string>& context,
                                              const char* before, const char* key,
                                              const char* after = "") {
  const auto found = context.find(key);
  return found == context.end() ? std::string() : before + found->second + after;
}

/// Returns the lines under a drawing of `tokens` tokens: how fast the frozen product itself was,
/// and what the result says of its machine, build and date.
[[nodiscard]] inline std::vector<std::string> caption(const Results& results, std::int64_t tokens) {
  const auto part = [&](const char* before, const char* key, const char* after) {
    return context_part(results.context, before, key, after);
  };
  const std::string date = part("", "date", "").substr(0, 10);
  const std::string threads = part("", "threads", "");
  std::string frozen;
  for (const auto& [width, speed] : frozen_speeds(results, tokens))
    frozen += (frozen.empty() ? "" : ", ") + short_number(speed) + " (" + width_title(width) + ")";
  std::string machine = part("", "cpu", "");
  if (!threads.empty()) machine += ", " + threads + (threads == "1" ? " thread" : " threads");
  if (!date.empty()) machine += ", " + date;
  const std::string build =
      part("", "compiler", " ") + part("", "flags", "") + part(", Eigen ", "eigen", "");
  std::vector<std::string> lines;
  constexpr std::size_t columns = 125;
  for (const std::string& text :
       {"Frozen product y = x W^T alone, tokens per second: " + frozen + ".", machine, build})
    for (std::string& line : wrapped(text, columns)) lines.push_back(std::move(line));
  return lines;
}

}  // namespace lora::bench
