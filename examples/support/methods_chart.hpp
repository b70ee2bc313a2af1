#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../benchmarks/plot/axis.hpp"
#include "../../benchmarks/plot/chart_style.hpp"
#include "../../benchmarks/plot/svg.hpp"
#include "over_seeds.hpp"
#include "table.hpp"

namespace examples {

/// What one way of adapting a model came to, over all seeds.
struct MethodPoint {
  std::size_t family = 0;  ///< its place in MethodsChartWords::families
  std::string name = {};
  double trainable = 0;  ///< parameters
  double score = 0;      ///< mean
  double spread = 0;     ///< standard deviation
  double kept = 0;       ///< of the base's behaviour
};

/// Returns the points of the results of every seed and method, [seed][method], of which there is at
/// least one: `score` and `kept` are members of Result, which has family, method and trainable too.
template <class Result>
[[nodiscard]] std::vector<MethodPoint> method_points(
    const std::vector<std::vector<Result>>& results, double Result::*score, double Result::*kept) {
  std::vector<MethodPoint> points;
  for (std::size_t i = 0; i < results.front().size(); ++i) {
    const Result& first = results.front()[i];
    const auto numbers = [&](double Result::*number) {
      return over_seeds(results, [&](const auto& seed) { return std::optional(seed[i].*number); });
    };
    const std::vector<double> scores = numbers(score);
    points.push_back({static_cast<std::size_t>(first.family), first.method,
                      static_cast<double>(first.trainable), mean(scores), spread(scores),
                      mean(numbers(kept))});
  }
  return points;
}

/// What a MethodsChart says in words.
struct MethodsChartWords {
  std::string title;
  std::string score;  ///< over the first panel
  std::string kept;   ///< over the second
  std::vector<std::string> families;
  std::string caption;  ///< what was measured
};

/// Draws two panels over the number of trained parameters: the score with its standard deviation
/// over the seeds, and how much of the base's behaviour is left. A line joins the methods of a
/// family, whose sizes stand beside the marks.
class MethodsChart {
 public:
  /// Prepares the drawing; there is at least one point.
  MethodsChart(std::vector<MethodPoint> points, MethodsChartWords words)
      : points_(std::move(points)), words_(std::move(words)) {}

  /// Returns the SVG file.
  [[nodiscard]] std::string svg() const {
    lora::bench::Svg svg;
    svg.text(16, 30, words_.title, "title");
    draw_panel(svg, 0, words_.score, &MethodPoint::score, &MethodPoint::spread);
    draw_panel(svg, 1, words_.kept, &MethodPoint::kept, nullptr);
    double x = 16;
    for (std::size_t i = 0; i < words_.families.size(); ++i) {
      svg.marker(x + 6, bottom + 62, i, lora::bench::colour_class(i));
      svg.text(x + 18, bottom + 66, words_.families[i], "small");
      x += 40 + 7 * static_cast<double>(words_.families[i].size());
    }
    svg.text(16, bottom + 92, words_.caption, "small");
    return svg.document(width, bottom + 108, words_.title, description(), lora::bench::chart_style);
  }

 private:
  static constexpr double width = 900, left = 60, gap = 70, right = 20, top = 70, bottom = 360;

  // The number that a name ends in, or nothing.
  static std::string size_in(const std::string& name) {
    return name.substr(name.find_last_not_of("0123456789") + 1);
  }

  // `spread` may be null: there is none to be drawn.
  void draw_panel(lora::bench::Svg& svg, int panel, const std::string& label,
                  double MethodPoint::*value, double MethodPoint::*spread) const {
    using lora::bench::Axis;
    double least = points_.front().*value, most = least, few = points_.front().trainable,
           many = few;
    const auto around = [&](const MethodPoint& point) {
      const double half = spread == nullptr ? 0 : point.*spread;
      return std::pair(point.*value - half, point.*value + half);
    };
    for (const MethodPoint& point : points_) {
      least = std::min(least, around(point).first);
      most = std::max(most, around(point).second);
      few = std::min(few, point.trainable);
      many = std::max(many, point.trainable);
    }
    const Axis across = Axis::decades(few, many), up = Axis::linear(least, most);
    const double wide = (width - left - right - gap) / 2;
    const double x0 = left + panel * (wide + gap);
    const auto px = [&](double v) { return x0 + across.position(v) * wide; };
    const auto py = [&](double v) { return bottom - up.position(v) * (bottom - top); };
    svg.text(x0, top - 16, label, "panel");
    for (const double tick : up.ticks()) {
      svg.line(x0, py(tick), x0 + wide, py(tick), "grid");
      svg.text(x0 - 8, py(tick) + 4, lora::bench::short_number(tick), "small end");
    }
    for (const double tick : across.ticks()) {
      // Powers of ten alone: there is no room for more.
      if (lora::bench::short_number(tick).front() != '1' || px(tick) < x0 - 1) continue;
      svg.line(px(tick), top, px(tick), bottom, "grid");
      svg.text(px(tick), bottom + 18, lora::bench::short_number(tick), "small middle");
    }
    svg.line(x0, bottom, x0 + wide, bottom, "frame");
    svg.text(x0 + wide / 2, bottom + 38, "trained parameters", "small middle");
    for (std::size_t family = 0; family < words_.families.size(); ++family) {
      const std::string colour = lora::bench::colour_class(family);
      lora::bench::Svg::Points line;
      std::vector<std::string> sizes;
      for (const MethodPoint& point : points_) {
        if (point.family != family) continue;
        const double x = px(point.trainable);
        line.emplace_back(x, py(point.*value));
        sizes.push_back(size_in(point.name));
        const auto [low, high] = around(point);
        if (high > low) svg.line(x, py(low), x, py(high), colour);
      }
      if (line.size() > 1) svg.polyline(line, "line " + colour);
      // Beside the marks, on the side of a steep line that is free.
      const bool falls = !line.empty() && line.back().second > line.front().second + 20;
      for (std::size_t i = 0; i < line.size(); ++i) {
        const auto [x, y] = line[i];
        svg.marker(x, y, family, colour);
        if (!sizes[i].empty()) svg.text(x + 6, y + (falls ? -6 : 14), sizes[i], "small");
      }
    }
  }

  // Says in words what the marks show, for who cannot see them.
  [[nodiscard]] std::string description() const {
    std::string text = "Two panels over the number of trained parameters: " + words_.score + "; " +
                       words_.kept + ".";
    for (const MethodPoint& point : points_)
      text += " " + point.name + ": " + lora::bench::short_number(point.trainable) +
              " parameters, " + fixed(point.score, 1) + " +- " + fixed(point.spread, 1) + "; " +
              fixed(point.kept, 3) + ".";
    return text;
  }

  std::vector<MethodPoint> points_;
  MethodsChartWords words_;
};

}  // namespace examples
