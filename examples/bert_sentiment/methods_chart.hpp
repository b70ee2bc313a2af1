#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "../../benchmarks/plot/axis.hpp"
#include "../../benchmarks/plot/chart_style.hpp"
#include "../../benchmarks/plot/svg.hpp"
#include "methods_report.hpp"

namespace sentiment {

/// Draws two panels over the number of trained parameters: the score on test sentences with its
/// standard deviation over the seeds, and how much of the base's behaviour is left. A line joins
/// the methods of a family, whose sizes stand beside the marks.
class MethodsChart {
 public:
  /// Prepares the drawing; there is at least one seed and one method. `caption` says what was
  /// measured.
  MethodsChart(const std::vector<std::vector<Result>>& results, std::string caption)
      : caption_(std::move(caption)) {
    const auto& rows = results.front();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto of = [&](const auto& get) {
        return over_seeds(results, i,
                          [&](const Result& r) { return std::optional<double>(get(r)); });
      };
      const std::vector<double> scores = of([](const Result& r) { return r.test; });
      points_.push_back({rows[i].family, rows[i].method, static_cast<double>(rows[i].trainable),
                         examples::mean(scores), examples::spread(scores),
                         examples::mean(of([](const Result& r) { return r.similarity; }))});
    }
  }

  /// Returns the SVG file.
  [[nodiscard]] std::string svg() const {
    lora::bench::Svg svg;
    svg.text(16, 30, title, "title");
    draw_panel(svg, 0, "accuracy on test sentences, %", &Point::score, &Point::spread);
    draw_panel(svg, 1, "cosine to the base's embeddings", &Point::kept, nullptr);
    double x = 16;
    for (std::size_t i = 0; i < families.size(); ++i) {
      svg.marker(x + 6, bottom + 62, i, lora::bench::colour_class(i));
      svg.text(x + 18, bottom + 66, families[i], "small");
      x += 40 + 7 * static_cast<double>(std::string(families[i]).size());
    }
    svg.text(16, bottom + 92, caption_, "small");
    return svg.document(width, bottom + 108, title, description(), lora::bench::chart_style);
  }

 private:
  struct Point {
    Family family;
    std::string name;
    double trainable, score, spread, kept;

    // The number that the name ends in, or nothing.
    [[nodiscard]] std::string size() const {
      return name.substr(name.find_last_not_of("0123456789") + 1);
    }
  };

  static constexpr const char* title = "Ways of adapting BERT to sentiment";
  static constexpr std::array<const char*, 5> families{"LoRA (rank)", "full fine-tuning",
                                                       "bottleneck adapters (width)",
                                                       "last layers (number)", "head alone"};
  static constexpr double width = 900, left = 60, gap = 70, right = 20, top = 70, bottom = 360;

  // `spread` may be null: there is none to be drawn.
  void draw_panel(lora::bench::Svg& svg, int panel, const char* label, double Point::*value,
                  double Point::*spread) const {
    using lora::bench::Axis;
    double least = points_.front().*value, most = least, few = points_.front().trainable,
           many = few;
    const auto around = [&](const Point& point) {
      const double half = spread == nullptr ? 0 : point.*spread;
      return std::pair(point.*value - half, point.*value + half);
    };
    for (const Point& point : points_) {
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
    for (std::size_t family = 0; family < families.size(); ++family) {
      const std::string colour = lora::bench::colour_class(family);
      lora::bench::Svg::Points line;
      std::vector<std::string> sizes;
      for (const Point& point : points_) {
        if (static_cast<std::size_t>(point.family) != family) continue;
        const double x = px(point.trainable);
        line.emplace_back(x, py(point.*value));
        sizes.push_back(point.size());
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
    std::string text = "Two panels over the number of trained parameters.";
    for (const Point& point : points_)
      text += " " + point.name + ": " + lora::bench::short_number(point.trainable) +
              " parameters, accuracy " + examples::fixed(point.score, 1) + " +- " +
              examples::fixed(point.spread, 1) + " %, cosine " + examples::fixed(point.kept, 3) +
              ".";
    return text;
  }

  std::string caption_;
  std::vector<Point> points_;
};

}  // namespace sentiment
