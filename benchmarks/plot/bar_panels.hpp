#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "axis.hpp"
#include "chart_style.hpp"
#include "svg.hpp"
#include "words.hpp"

namespace lora::bench {

/// Adds `one` to `all` unless it is there: what a chart's rows and panels are collected with.
template <class T>
void add_new(std::vector<T>& all, const T& one) {
  if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
}

/// Holds what a chart of bars says.
struct BarWords {
  std::string title;
  std::vector<std::string> rows;    ///< labels, from above
  std::vector<std::string> panels;  ///< headings, from the left
  std::string caption;
  std::string description;  ///< for who cannot see the bars
};

/// Lays out a chart of horizontal bars that say how many times as fast something is as what they
/// are compared with, 1 on the axis: the same rows in panels side by side, with their labels on the
/// left, and a legend and a caption below.
class BarPanels {
 public:
  /// Prepares a drawing whose labels take `labels` pixels.
  BarPanels(BarWords words, Axis axis, double labels)
      : words_(std::move(words)), axis_(std::move(axis)), labels_(labels) {}

  /// Returns the middle of a row.
  [[nodiscard]] static double row_y(std::size_t row) {
    return top + pitch * (static_cast<double>(row) + 0.5);
  }

  /// Returns where the bars of a panel begin.
  [[nodiscard]] double left(std::size_t panel) const {
    return labels_ + static_cast<double>(panel) * (panel_width() + gap);
  }

  /// Returns where `value` lies in a panel.
  [[nodiscard]] double x(std::size_t panel, double value) const {
    // Room for the number behind the longest bar.
    return left(panel) + axis_.position(value) * (panel_width() - 34);
  }

  /// Returns the SVG file. draw_bars(svg, panels, panel) draws what stands in a panel, and
  /// draw_legend(svg, y) a sample of each mark at `y`.
  template <class DrawBars, class DrawLegend>
  [[nodiscard]] std::string svg(const DrawBars& draw_bars, const DrawLegend& draw_legend) const {
    Svg svg;
    svg.text(16, 30, words_.title, "title");
    for (std::size_t i = 0; i < words_.rows.size(); ++i)
      svg.text(labels_ - 12, row_y(i) + 5, words_.rows[i], "small end");
    for (std::size_t panel = 0; panel < words_.panels.size(); ++panel) {
      draw_frame(svg, panel);
      draw_bars(svg, *this, panel);
    }
    draw_legend(svg, bottom() + 62);
    double y = bottom() + 90;
    for (const std::string& line : wrapped(words_.caption, 125)) {
      svg.text(16, y, line, "small");
      y += 17;
    }
    return svg.document(width, y, words_.title, words_.description, chart_style);
  }

 private:
  static constexpr double width = 900, right = 16, gap = 26, top = 78, pitch = 25;

  [[nodiscard]] double bottom() const {
    return top + pitch * static_cast<double>(words_.rows.size());
  }

  [[nodiscard]] double panel_width() const {
    const auto panels = static_cast<double>(words_.panels.size());
    return (width - labels_ - right - gap * (panels - 1)) / panels;
  }

  void draw_frame(Svg& svg, std::size_t panel) const {
    svg.text(left(panel), top - 14, words_.panels[panel], "panel");
    for (const double tick : axis_.ticks()) {
      const double at = x(panel, tick);
      svg.line(at, top, at, bottom(), tick == 1 ? "frame" : "grid");
      svg.text(at, bottom() + 18, short_number(tick), "small middle");
    }
    const double one = x(panel, 1);
    svg.line(one, top, one, bottom(), "frame");
    svg.text((left(panel) + x(panel, axis_.high())) / 2, bottom() + 38, "times as fast",
             "small middle");
  }

  BarWords words_;
  Axis axis_;
  double labels_;
};

}  // namespace lora::bench
