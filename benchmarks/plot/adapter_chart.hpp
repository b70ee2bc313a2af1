#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adapter_results.hpp"
#include "axis.hpp"
#include "bar_panels.hpp"
#include "chart_style.hpp"
#include "svg.hpp"
#include "words.hpp"

namespace lora::bench {

/// Draws how fast mixed batches are beside the same batch with one adapter here: a bar for each
/// size and number of adapters, in a panel for evaluation and one for training, with a marker where
/// PEFT is.
class AdapterChart {
 public:
  /// Prepares the drawing of `results`, as parse_adapter_results made them: of those with the first
  /// row's threads.
  explicit AdapterChart(AdapterResults results) : results_(std::move(results)), axis_(prepared()) {
    for (const AdapterRow& row : results_.rows) add_new(rows_, {row.size, row.adapters});
  }

  /// Returns the axis of both panels, from left to right: 1 is one adapter here.
  [[nodiscard]] const Axis& axis() const { return axis_; }

  /// Returns the SVG file.
  [[nodiscard]] std::string svg() const {
    BarWords words{.title = "Mixed batches, beside a batch of one adapter",
                   .rows = {},
                   .panels = {"evaluation", "training step"},
                   .caption = caption(),
                   .description = description()};
    for (const auto& [size, adapters] : rows_) words.rows.push_back(label(size, adapters));
    return BarPanels(std::move(words), axis_, 166)
        .svg([this](Svg& svg, const BarPanels& panels,
                    std::size_t panel) { draw_bars(svg, panels, panel == 1); },
             [](Svg& svg, double y) { draw_legend(svg, y); });
  }

 private:
  // Drops what is not drawn; returns the axis of the rest.
  Axis prepared() {
    const std::int64_t threads = results_.rows.front().threads;
    std::erase_if(results_.rows, [&](const AdapterRow& row) { return row.threads != threads; });
    double most = 1;
    for (const AdapterRow& row : results_.rows)
      for (const bool training : {false, true})
        most = std::max(most, speed(row, training).value_or(0));
    return Axis::linear(0, most);
  }

  // Times as fast as one adapter here.
  [[nodiscard]] std::optional<double> speed(const AdapterRow& row, bool training) const {
    const AdapterRow& one = *results_.one_of(row);
    if (!training) return one.evaluation / row.evaluation;
    if (!row.training) return std::nullopt;
    return *one.training / *row.training;
  }

  void draw_bars(Svg& svg, const BarPanels& panels, bool training) const {
    const std::size_t panel = training ? 1 : 0;
    for (const AdapterRow& row : results_.rows) {
      const auto at = std::find(rows_.begin(), rows_.end(), std::pair(row.size, row.adapters));
      const double y = BarPanels::row_y(static_cast<std::size_t>(at - rows_.begin()));
      const std::optional<double> faster = speed(row, training);
      if (!faster) continue;
      const double x = panels.x(panel, *faster), from = panels.left(panel);
      if (row.side == "here") {
        svg.bar(from, y - 6, x - from, 12, colour_class(0));
        svg.text(x + 5, y + 4, rounded(*faster), "small");
      } else {
        svg.marker(x, y, 1, colour_class(1));
      }
    }
  }

  static void draw_legend(Svg& svg, double y) {
    svg.bar(16, y - 10, 28, 12, colour_class(0));
    svg.text(52, y, "this library", "small");
    svg.marker(180, y - 4, 1, colour_class(1));
    svg.text(192, y, "PEFT's adapter_names", "small");
  }

  // Hundredths, as the table has them.
  [[nodiscard]] static std::string rounded(double value) {
    return short_number(std::round(value * 100) / 100);
  }

  [[nodiscard]] static std::string label(std::int64_t size, std::int64_t adapters) {
    if (adapters == 0) return message(size, " wide, no routes");
    return message(size, " wide, ", adapters, adapters == 1 ? " adapter" : " adapters");
  }

  [[nodiscard]] std::string caption() const {
    const auto part = [&](const char* before, const char* key) {
      return context_part(results_.context, before, key);
    };
    const std::int64_t threads = results_.rows.front().threads;
    return part("", "cpu") + message(", ", threads, threads == 1 ? " thread" : " threads") +
           part(", PyTorch ", "torch") + part(", PEFT ", "peft") + part(", ", "compiler") +
           part(" ", "flags") + part(", Eigen ", "eigen") + part(", ", "date").substr(0, 12);
  }

  // Says in words what the marks show, for who cannot see them.
  [[nodiscard]] std::string description() const {
    std::string text = "Bar chart, times as fast as a batch of one adapter here.";
    for (const AdapterRow& row : results_.rows) {
      text += message(" ", label(row.size, row.adapters), row.side == "here" ? "" : " in PEFT",
                      ": evaluation ", rounded(*speed(row, false)));
      if (const auto training = speed(row, true)) text += ", training " + rounded(*training);
      text += ".";
    }
    return text;
  }

  AdapterResults results_;
  Axis axis_;
  std::vector<std::pair<std::int64_t, std::int64_t>> rows_;  // size and adapters
};

}  // namespace lora::bench
