#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "axis.hpp"
#include "chart_style.hpp"
#include "rank_panels.hpp"
#include "svg.hpp"
#include "words.hpp"

namespace lora::bench {

/// Says what a RankChart shows and how.
struct RankChartText {
  std::string title;
  std::string y_label;
  std::vector<std::string> caption;  ///< lines under the drawing: machine, build, date
  bool logarithmic = false;          ///< the upright axis; a linear one starts at 0
};

/// Draws values against rank: a panel for each case, two side by side with one scale for all, a
/// line for each width, and dashed what the number of operations allows.
class RankChart {
 public:
  /// Prepares the drawing of `panels`, of which there is at least one.
  RankChart(std::vector<RankPanel> panels, RankChartText text)
      : panels_(std::move(panels)), text_(std::move(text)), x_(rank_axis()), y_(value_axis()) {}

  /// Returns the axis that all panels share from left to right.
  [[nodiscard]] const Axis& x_axis() const { return x_; }

  /// Returns the axis that all panels share from bottom to top.
  [[nodiscard]] const Axis& y_axis() const { return y_; }

  /// Returns the SVG file.
  [[nodiscard]] std::string svg() const {
    Svg svg;
    svg.text(left, 30, text_.title, "title");
    for (std::size_t i = 0; i < panels_.size(); ++i) draw_panel(svg, i);
    double y = draw_legend(svg, top + static_cast<double>(rows()) * row_height + 12) + 32;
    for (const std::string& line : text_.caption) {
      svg.text(left, y, line, "small");
      y += 17;
    }
    return svg.document(width, y, text_.title, description(panels_, text_.y_label), chart_style);
  }

 private:
  static constexpr double width = 900, left = 66, right = 16, top = 50, gap = 26;
  static constexpr double panel_width = (width - left - right - gap) / 2, panel_height = 330;
  static constexpr double row_height = panel_height + 92;

  [[nodiscard]] std::size_t rows() const { return (panels_.size() + 1) / 2; }

  template <class Visit>
  void for_each_series(const Visit& visit) const {
    for (const RankPanel& panel : panels_)
      for (const RankSeries& series : panel.series) visit(series);
  }

  [[nodiscard]] std::vector<std::int64_t> widths() const {
    std::set<std::int64_t> all;
    for_each_series([&](const RankSeries& series) { all.insert(series.width); });
    return {all.begin(), all.end()};
  }

  [[nodiscard]] Axis rank_axis() const {
    double low = std::numeric_limits<double>::max(), high = 0;
    for_each_series([&](const RankSeries& series) {
      low = std::min(low, static_cast<double>(series.measured.front().first));
      high = std::max(high, static_cast<double>(series.measured.back().first));
    });
    return Axis::powers_of_two(low, high);
  }

  [[nodiscard]] Axis value_axis() const {
    double low = std::numeric_limits<double>::max(), high = 0;
    const auto cover = [&](double value) {
      low = std::min(low, value);
      high = std::max(high, value);
    };
    for_each_series([&](const RankSeries& series) {
      for (const auto& [rank, value] : series.measured) cover(value);
      for (const auto& [rank, value] : series.limits) cover(value);
    });
    return text_.logarithmic ? Axis::decades(low, high) : Axis::linear(0, high);
  }

  void draw_panel(Svg& svg, std::size_t index) const {
    const std::size_t row = index / 2, column = index % 2;
    const double x0 = left + static_cast<double>(column) * (panel_width + gap);
    const double y1 = top + 24 + static_cast<double>(row) * row_height;
    const double x1 = x0 + panel_width, y0 = y1 + panel_height;
    // A margin inside the frame keeps markers off it.
    constexpr double inset = 12;
    const auto px = [&](double rank) {
      return x0 + inset + x_.position(rank) * (panel_width - 2 * inset);
    };
    const auto py = [&](double value) { return y0 - y_.position(value) * panel_height; };
    const auto place = [&](const RankSeries::Points& values) {
      Svg::Points points;
      for (const auto& [rank, value] : values)
        points.emplace_back(px(static_cast<double>(rank)), py(value));
      return points;
    };

    svg.text(x0, y1 - 10, case_title(panels_[index].what), "panel");
    for (const double tick : y_.ticks()) {
      svg.line(x0, py(tick), x1, py(tick), "grid");
      if (index % 2 == 0) svg.text(x0 - 8, py(tick) + 4, short_number(tick), "end");
    }
    for (const double tick : x_.ticks()) {
      svg.line(px(tick), y0, px(tick), y0 + 5, "frame");
      svg.text(px(tick), y0 + 20, message(tick), "middle");
    }
    svg.line(x0, y0, x1, y0, "frame");
    svg.text((x0 + x1) / 2, y0 + 42, "rank", "middle");
    if (index % 2 == 0) {
      const std::string at = coordinate(16) + " " + coordinate((y0 + y1) / 2);
      svg.text(16, (y0 + y1) / 2, text_.y_label, "middle", "transform=\"rotate(-90 " + at + ")\"");
    }

    const std::vector<std::int64_t> all = widths();
    for (const RankSeries& series : panels_[index].series) {
      const std::size_t number = index_of(all, series.width);
      const std::string colour = colour_class(number);
      if (series.limits.size() > 1) svg.polyline(place(series.limits), colour + " limit");
      const Svg::Points points = place(series.measured);
      if (points.size() > 1) svg.polyline(points, colour + " line");
      for (const auto& [x, y] : points) svg.marker(x, y, number, colour);
    }
  }

  // Draws a sample of each line from `y` downwards; returns where the last one is.
  [[nodiscard]] double draw_legend(Svg& svg, double y) const {
    constexpr double entry = 122, sample = 28;
    constexpr std::size_t in_row = 6;
    const std::vector<std::int64_t> all = widths();
    for (std::size_t i = 0; i < all.size(); ++i) {
      const double x = left + static_cast<double>(i % in_row) * entry;
      if (i > 0 && i % in_row == 0) y += 22;
      svg.line(x, y, x + sample, y, colour_class(i) + " line");
      svg.marker(x + sample / 2, y, i, colour_class(i));
      svg.text(x + sample + 6, y + 4, width_title(all[i]), "legend");
    }
    bool has_limits = false;
    for_each_series([&](const RankSeries& s) { has_limits = has_limits || !s.limits.empty(); });
    if (!has_limits) return y;
    y += 22;
    svg.line(left, y, left + sample, y, "limit neutral");
    svg.text(left + sample + 6, y + 4, limit_title, "legend");
    return y;
  }

  [[nodiscard]] static std::size_t index_of(const std::vector<std::int64_t>& all,
                                            std::int64_t value) {
    return static_cast<std::size_t>(std::find(all.begin(), all.end(), value) - all.begin());
  }

  std::vector<RankPanel> panels_;
  RankChartText text_;
  Axis x_;
  Axis y_;
};

}  // namespace lora::bench
