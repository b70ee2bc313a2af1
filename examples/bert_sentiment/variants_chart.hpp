#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "../../benchmarks/plot/axis.hpp"
#include "../../benchmarks/plot/chart_style.hpp"
#include "../../benchmarks/plot/svg.hpp"
#include "../support/methods_chart.hpp"
#include "result.hpp"

namespace sentiment {

/// Draws a row for each variant in two panels: the test score of each seed's mean with its standard
/// deviation, and how much of the base's behaviour is left.
class VariantsChart {
 public:
  /// Prepares the drawing; there is at least one point. `caption` says what was measured.
  VariantsChart(std::vector<examples::MethodPoint> points, std::string caption)
      : points_(std::move(points)), caption_(std::move(caption)) {}

  /// Returns the SVG file.
  [[nodiscard]] std::string svg() const {
    const std::string title = "Variants of LoRA on sentiment";
    lora::bench::Svg svg;
    svg.text(16, 30, title, "title");
    for (std::size_t i = 0; i < points_.size(); ++i)
      svg.text(left - 12, row(i) + 4, points_[i].name, "end");
    draw_panel(svg, 0, "accuracy on test sentences, %", &examples::MethodPoint::score,
               &examples::MethodPoint::spread);
    draw_panel(svg, 1, "cosine to the base's embeddings", &examples::MethodPoint::kept, nullptr);
    svg.text(16, bottom() + 52, caption_, "small");
    std::string description =
        "Two panels, a row for each variant: test accuracy in percent, and "
        "the cosine to the base's embeddings.";
    for (const examples::MethodPoint& point : points_)
      description += " " + point.name + ": " + examples::fixed(point.score, 1) + " +- " +
                     examples::fixed(point.spread, 1) + "; " + examples::fixed(point.kept, 3) + ".";
    return svg.document(width, bottom() + 68, title, description, lora::bench::chart_style);
  }

 private:
  static constexpr double width = 900, left = 110, gap = 60, right = 20, top = 74, step = 34;

  [[nodiscard]] double row(std::size_t i) const {
    return top + step * (static_cast<double>(i) + 0.5);
  }
  [[nodiscard]] double bottom() const { return row(points_.size()) - step / 2; }

  // `spread` may be null: there is none to be drawn.
  void draw_panel(lora::bench::Svg& svg, int panel, const std::string& label,
                  double examples::MethodPoint::*value,
                  double examples::MethodPoint::*spread) const {
    double least = points_.front().*value, most = least;
    const auto half = [&](const examples::MethodPoint& point) {
      return spread == nullptr ? 0 : point.*spread;
    };
    for (const examples::MethodPoint& point : points_) {
      least = std::min(least, point.*value - half(point));
      most = std::max(most, point.*value + half(point));
    }
    const auto axis = lora::bench::Axis::linear(least, most);
    const double wide = (width - left - right - gap) / 2, x0 = left + panel * (wide + gap);
    const auto px = [&](double v) { return x0 + axis.position(v) * wide; };
    svg.text(x0, top - 14, label, "panel");
    for (const double tick : axis.ticks()) {
      svg.line(px(tick), top, px(tick), bottom(), "grid");
      svg.text(px(tick), bottom() + 18, lora::bench::short_number(tick), "small middle");
    }
    svg.line(x0, bottom(), x0 + wide, bottom(), "frame");
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const std::string colour = lora::bench::colour_class(i);
      const double v = points_[i].*value, around = half(points_[i]);
      if (around > 0) svg.line(px(v - around), row(i), px(v + around), row(i), colour);
      svg.marker(px(v), row(i), i, colour);
    }
  }

  std::vector<examples::MethodPoint> points_;
  std::string caption_;
};

/// Returns the drawing of a comparison of at least one seed and one variant.
[[nodiscard]] inline VariantsChart variants_chart(const std::vector<std::vector<Result>>& results,
                                                  std::string caption) {
  return {examples::method_points(results, &Result::test, &Result::similarity), std::move(caption)};
}

}  // namespace sentiment
