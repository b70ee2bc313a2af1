#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "axis.hpp"
#include "bar_panels.hpp"
#include "chart_style.hpp"
#include "peer_results.hpp"
#include "svg.hpp"
#include "words.hpp"

namespace lora::bench {

/// Says a case's name for a reader: "train/tokens:512/width:1024/rank:16" is
/// "training step, 512 tokens, width 1024, rank 16". An unknown case is its own.
[[nodiscard]] inline std::string peer_case_title(const std::string& name) {
  std::string title;
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t slash = std::min(name.find('/', start), name.size());
    const std::string part = name.substr(start, slash - start);
    start = slash + 1;
    const std::size_t colon = part.find(':');
    const std::string key = part.substr(0, colon);
    if (colon == std::string::npos) {
      title += part == "train"     ? "training step"
               : part == "product" ? "frozen product"
               : part == "adamw"   ? "AdamW step"
                                   : part;
      continue;
    }
    const std::string value = part.substr(colon + 1);
    if (key == "tokens")
      title += message(", ", value, value == "1" ? " token" : " tokens");
    else if (key == "parameters" && value.size() > 6)
      title += message(", ", value.substr(0, value.size() - 6), "M parameters");
    else
      title += message(", ", key, " ", value);
  }
  return title;
}

/// Draws how many times as fast as PyTorch with PEFT this library is: a bar for each case, in a
/// panel for each number of threads, with a marker where PyTorch's C++ API is.
class PeerChart {
 public:
  /// Prepares the drawing of `results`, which has at least one row.
  explicit PeerChart(PeerResults results)
      : results_(std::move(results)), axis_(Axis::linear(0, largest())) {
    for (const PeerRow& row : results_.rows) {
      add_new(cases_, row.name);
      add_new(threads_, row.threads);
    }
  }

  /// Returns the axis of all panels, from left to right: 1 is PyTorch with PEFT.
  [[nodiscard]] const Axis& axis() const { return axis_; }

  /// Returns the SVG file.
  [[nodiscard]] std::string svg() const {
    BarWords words{.title = "Speed beside PyTorch with PEFT, same machine and threads",
                   .rows = {},
                   .panels = {},
                   .caption = caption(),
                   .description = description()};
    for (const std::string& name : cases_) words.rows.push_back(peer_case_title(name));
    for (const std::int64_t threads : threads_)
      words.panels.push_back(message(threads, threads == 1 ? " thread" : " threads"));
    return BarPanels(std::move(words), axis_, 316)
        .svg([this](Svg& svg, const BarPanels& panels,
                    std::size_t panel) { draw_bars(svg, panels, panel); },
             draw_legend);
  }

 private:
  [[nodiscard]] double largest() const {
    double most = 1;
    for (const PeerRow& row : results_.rows) {
      most = std::max(most, row.faster_than_peft);
      if (row.faster_than_libtorch)
        most = std::max(most, row.faster_than_peft / *row.faster_than_libtorch);
    }
    return most;
  }

  void draw_bars(Svg& svg, const BarPanels& panels, std::size_t panel) const {
    const double x0 = panels.left(panel);
    for (const PeerRow& row : results_.rows) {
      if (row.threads != threads_[panel]) continue;
      const auto found = std::find(cases_.begin(), cases_.end(), row.name);
      const double y = BarPanels::row_y(static_cast<std::size_t>(found - cases_.begin()));
      double end = panels.x(panel, row.faster_than_peft);
      svg.bar(x0, y - 6, end - x0, 12, colour_class(0));
      if (row.faster_than_libtorch) {
        const double x = panels.x(panel, row.faster_than_peft / *row.faster_than_libtorch);
        svg.marker(x, y, 3, colour_class(1));
        // The number stands clear of a marker at the bar's end.
        if (x > end - 6) end = std::max(end, x + 3);
      }
      svg.text(end + 5, y + 4, short_number(row.faster_than_peft), "small");
    }
  }

  static void draw_legend(Svg& svg, double y) {
    svg.bar(16, y - 10, 28, 12, colour_class(0));
    svg.text(52, y, "this library", "small");
    svg.marker(180, y - 4, 3, colour_class(1));
    svg.text(192, y, "PyTorch's C++ API (libtorch)", "small");
    svg.line(402, y - 12, 402, y + 4, "frame");
    svg.text(412, y, "PyTorch with PEFT, the fastest of its settings: 1", "small");
  }

  [[nodiscard]] std::string caption() const {
    const auto part = [&](const char* before, const char* key) {
      return context_part(results_.context, before, key);
    };
    return part("", "cpu") + part(", PyTorch ", "torch") + part(", PEFT ", "peft") +
           part(", ", "compiler") + part(" ", "flags") + part(", Eigen ", "eigen") +
           part(", ", "date").substr(0, 12);
  }

  // Says in words what the bars show, for who cannot see them.
  [[nodiscard]] std::string description() const {
    std::string text = "Bar chart, times as fast as PyTorch with PEFT.";
    for (const PeerRow& row : results_.rows)
      text += message(
          " ", peer_case_title(row.name), ", ", row.threads,
          row.threads == 1 ? " thread: " : " threads: ", short_number(row.faster_than_peft), ".");
    return text;
  }

  PeerResults results_;
  Axis axis_;
  std::vector<std::string> cases_;
  std::vector<std::int64_t> threads_;
};

}  // namespace lora::bench
