#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "../../benchmarks/plot/axis.hpp"
#include "../../benchmarks/plot/chart_style.hpp"
#include "../../benchmarks/plot/svg.hpp"
#include "curves.hpp"

namespace curves {

/// Draws curves over the steps of training: a panel for each metric, one below the other, a colour
/// for each run. A curve of many points is drawn thin as it is, and thick as a running mean.
class Chart {
 public:
  /// Prepares the drawing of `panels`, of which there is at least one. `smooth` is how many points
  /// the running mean is over; 0: a twentieth of a curve's.
  explicit Chart(std::vector<Panel> panels, std::size_t smooth = 0)
      : panels_(std::move(panels)), smooth_(smooth) {
    for (const Panel& panel : panels_)
      for (const Curve& curve : panel.curves)
        if (std::find(runs_.begin(), runs_.end(), curve.run) == runs_.end())
          runs_.push_back(curve.run);
  }

  /// Returns the SVG file.
  [[nodiscard]] std::string svg() const {
    lora::bench::Svg svg;
    svg.text(left, 30, title, "title");
    for (std::size_t i = 0; i < panels_.size(); ++i)
      draw_panel(svg, panels_[i], top + static_cast<double>(i) * panel_step);
    double y = top + static_cast<double>(panels_.size()) * panel_step;
    for (std::size_t i = 0; i < runs_.size(); ++i, y += 20) {
      svg.line(left, y - 4, left + 28, y - 4, lora::bench::colour_class(i) + " line");
      svg.text(left + 36, y, runs_[i], "small");
    }
    return svg.document(width, y + 8, title, description(), lora::bench::chart_style);
  }

 private:
  static constexpr const char* title = "Training";
  static constexpr double width = 900, left = 66, right = 20, top = 70;
  static constexpr double panel_height = 240, panel_step = panel_height + 80;
  static constexpr std::size_t most_points = 600;

  [[nodiscard]] std::size_t window_of(const Curve& curve) const {
    return std::max<std::size_t>(1, smooth_ > 0 ? smooth_ : curve.points.size() / 20);
  }

  // The smallest and the largest of one coordinate of a panel's points.
  template <class Get>
  [[nodiscard]] static std::pair<double, double> range(const Panel& panel, const Get& get) {
    double low = std::numeric_limits<double>::max(), high = -low;
    for (const Curve& curve : panel.curves)
      for (const auto& point : thinned(curve.points, most_points)) {
        low = std::min(low, get(point));
        high = std::max(high, get(point));
      }
    return {low, high};
  }

  void draw_panel(lora::bench::Svg& svg, const Panel& panel, double y1) const {
    using lora::bench::Axis;
    const auto [low, high] = range(panel, [](const auto& point) { return point.second; });
    const double last = range(panel, [](const auto& point) { return point.first; }).second;
    const Axis across = Axis::linear(0, last), up = Axis::linear(low, high);
    const double x0 = left, x1 = width - right, y0 = y1 + panel_height;
    const auto place = [&](const Curve::Points& points) {
      lora::bench::Svg::Points placed;
      for (const auto& [step, value] : thinned(points, most_points))
        placed.emplace_back(x0 + across.position(step) * (x1 - x0),
                            y0 - up.position(value) * panel_height);
      return placed;
    };
    svg.text(x0, y1 - 12, panel.metric, "panel");
    for (const double tick : up.ticks()) {
      const double y = y0 - up.position(tick) * panel_height;
      svg.line(x0, y, x1, y, "grid");
      svg.text(x0 - 8, y + 4, lora::bench::short_number(tick), "small end");
    }
    for (const double tick : across.ticks()) {
      const double x = x0 + across.position(tick) * (x1 - x0);
      svg.line(x, y0, x, y0 + 5, "frame");
      svg.text(x, y0 + 18, lora::bench::short_number(tick), "small middle");
    }
    svg.line(x0, y0, x1, y0, "frame");
    svg.text((x0 + x1) / 2, y0 + 36, "step", "small middle");
    for (const Curve& curve : panel.curves) draw_curve(svg, curve, place);
  }

  template <class Place>
  void draw_curve(lora::bench::Svg& svg, const Curve& curve, const Place& place) const {
    const auto run = std::find(runs_.begin(), runs_.end(), curve.run) - runs_.begin();
    const auto number = static_cast<std::size_t>(run);
    const std::string colour = lora::bench::colour_class(number);
    const std::size_t window = window_of(curve);
    if (window > 1) svg.polyline(place(curve.points), colour + " faint");
    svg.polyline(place(running_mean(curve.points, window)), colour + " line");
    constexpr std::size_t few = 40;  // each can be seen
    if (curve.points.size() <= few)
      for (const auto& [x, y] : place(curve.points)) svg.marker(x, y, number, colour);
  }

  // Says in words what the curves show, for who cannot see them.
  [[nodiscard]] std::string description() const {
    using lora::bench::short_number;
    std::string text = "Curves over the steps of training.";
    for (const Panel& panel : panels_)
      for (const Curve& curve : panel.curves)
        text += " " + panel.metric + " of " + curve.run + ": " +
                short_number(curve.points.front().second) + " at step " +
                short_number(curve.points.front().first) + ", " +
                short_number(curve.points.back().second) + " at step " +
                short_number(curve.points.back().first) + ".";
    return text;
  }

  std::vector<Panel> panels_;
  std::size_t smooth_;
  std::vector<std::string> runs_;
};

}  // namespace curves
