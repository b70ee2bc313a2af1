#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "axis.hpp"
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
      if (std::find(cases_.begin(), cases_.end(), row.name) == cases_.end())
        cases_.push_back(row.name);
      if (std::find(threads_.begin(), threads_.end(), row.threads) == threads_.end())
        threads_.push_back(row.threads);
    }
  }

  /// Returns the axis of all panels, from left to right: 1 is PyTorch with PEFT.
  [[nodiscard]] const Axis& axis() const { return axis_; }

  /// Returns the SVG file.
  [[nodiscard]] std::string svg() const {
    Svg svg;
    svg.text(16, 30, title, "title");
    for (std::size_t i = 0; i < cases_.size(); ++i)
      svg.text(labels - 12, row_y(i) + 5, peer_case_title(cases_[i]), "small end");
    for (std::size_t panel = 0; panel < threads_.size(); ++panel) draw_panel(svg, panel);
    double y = draw_legend(svg, bottom() + 62) + 28;
    for (const std::string& line : wrapped(caption(), 125)) {
      svg.text(16, y, line, "small");
      y += 17;
    }
    return svg.document(width, y, title, description(), chart_style);
  }

 private:
  static constexpr const char* title = "Speed beside PyTorch with PEFT, same machine and threads";
  static constexpr double width = 900, labels = 316, right = 16, gap = 26, top = 78, pitch = 25;

  [[nodiscard]] double largest() const {
    double most = 1;
    for (const PeerRow& row : results_.rows) {
      most = std::max(most, row.faster_than_peft);
      if (row.faster_than_libtorch)
        most = std::max(most, row.faster_than_peft / *row.faster_than_libtorch);
    }
    return most;
  }

  [[nodiscard]] static double row_y(std::size_t row) {
    return top + pitch * (static_cast<double>(row) + 0.5);
  }
  [[nodiscard]] double bottom() const { return top + pitch * static_cast<double>(cases_.size()); }

  void draw_panel(Svg& svg, std::size_t panel) const {
    const auto panels = static_cast<double>(threads_.size());
    const double wide = (width - labels - right - gap * (panels - 1)) / panels;
    const double x0 = labels + static_cast<double>(panel) * (wide + gap);
    // Room for the number behind the longest bar.
    const auto px = [&](double value) { return x0 + axis_.position(value) * (wide - 34); };

    const std::int64_t threads = threads_[panel];
    svg.text(x0, top - 14, message(threads, threads == 1 ? " thread" : " threads"), "panel");
    for (const double tick : axis_.ticks()) {
      svg.line(px(tick), top, px(tick), bottom(), tick == 1 ? "frame" : "grid");
      svg.text(px(tick), bottom() + 18, short_number(tick), "small middle");
    }
    svg.line(px(1), top, px(1), bottom(), "frame");
    svg.text((x0 + px(axis_.high())) / 2, bottom() + 38, "times as fast", "small middle");
    for (const PeerRow& row : results_.rows) {
      if (row.threads != threads) continue;
      const auto found = std::find(cases_.begin(), cases_.end(), row.name);
      const double y = row_y(static_cast<std::size_t>(found - cases_.begin()));
      svg.bar(x0, y - 6, px(row.faster_than_peft) - x0, 12, colour_class(0));
      double end = px(row.faster_than_peft);
      if (row.faster_than_libtorch) {
        const double x = px(row.faster_than_peft / *row.faster_than_libtorch);
        svg.marker(x, y, 3, colour_class(1));
        // The number stands clear of a marker at the bar's end.
        if (x > end - 6) end = std::max(end, x + 3);
      }
      svg.text(end + 5, y + 4, short_number(row.faster_than_peft), "small");
    }
  }

  // Draws a sample of each mark at `y`; returns `y`.
  [[nodiscard]] static double draw_legend(Svg& svg, double y) {
    svg.bar(16, y - 10, 28, 12, colour_class(0));
    svg.text(52, y, "this library", "small");
    svg.marker(180, y - 4, 3, colour_class(1));
    svg.text(192, y, "PyTorch's C++ API (libtorch)", "small");
    svg.line(402, y - 12, 402, y + 4, "frame");
    svg.text(412, y, "PyTorch with PEFT, the fastest of its settings: 1", "small");
    return y;
  }

  [[nodiscard]] std::string caption() const {
    const auto part = [&](const char* before, const char* key) {
      const auto found = results_.context.find(key);
      return found == results_.context.end() ? std::string() : before + found->second;
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
