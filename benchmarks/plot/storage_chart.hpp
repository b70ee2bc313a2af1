#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "axis.hpp"
#include "bar_panels.hpp"
#include "chart_style.hpp"
#include "storage_results.hpp"
#include "svg.hpp"
#include "words.hpp"

namespace lora::bench {

/// Draws how many times as fast as float32 each storage makes the frozen products of a training
/// step: a bar for each storage here, in a panel for each number of tokens, with a marker where
/// another library is with a storage of that name.
class StorageChart {
 public:
  /// Prepares the drawing of `results`, which has at least one row: of those with the first row's
  /// threads.
  explicit StorageChart(StorageResults results) : results_(std::move(results)), axis_(prepared()) {
    for (const StorageRow& row : results_.rows) {
      if (row.side == here)
        add_new(storages_, row.storage);
      else
        add_new(others_, row.side);
      add_new(tokens_, row.tokens);
    }
  }

  /// Returns the axis of all panels, from left to right: 1 is float32.
  [[nodiscard]] const Axis& axis() const { return axis_; }

  /// Returns the SVG file.
  [[nodiscard]] std::string svg() const {
    BarWords words{.title = "Frozen products of a training step, beside float32's",
                   .rows = {},
                   .panels = {},
                   .caption = caption(),
                   .description = description()};
    for (const std::string& storage : storages_) words.rows.push_back(label(storage));
    for (const std::int64_t tokens : tokens_) words.panels.push_back(tokens_title(tokens));
    return BarPanels(std::move(words), axis_, 226)
        .svg([this](Svg& svg, const BarPanels& panels,
                    std::size_t panel) { draw_bars(svg, panels, panel); },
             [this](Svg& svg, double y) { draw_legend(svg, y); });
  }

 private:
  static constexpr const char* here = "here";
  static constexpr double number = 30;  // pixels that times() takes behind a bar

  // Drops what is not drawn; returns the axis of the rest.
  Axis prepared() {
    const std::int64_t threads = results_.rows.front().threads;
    std::erase_if(results_.rows, [&](const StorageRow& row) { return row.threads != threads; });
    double most = 1;
    for (const StorageRow& row : results_.rows) most = std::max(most, row.faster_than_float32);
    return Axis::linear(0, most);
  }

  [[nodiscard]] std::string label(const std::string& storage) const {
    for (const StorageRow& row : results_.rows)
      if (row.side == here && row.storage == storage)
        return message(storage, ", ", short_number(row.bytes_per_weight), " B");
    return storage;
  }

  void draw_bars(Svg& svg, const BarPanels& panels, std::size_t panel) const {
    const std::int64_t tokens = tokens_[panel];
    const double x0 = panels.left(panel);
    for (std::size_t i = 0; i < storages_.size(); ++i) {
      const double y = BarPanels::row_y(i);
      double end = x0;
      for (const StorageRow& row : results_.rows)
        if (row.side == here && row.storage == storages_[i] && row.tokens == tokens) {
          end = panels.x(panel, row.faster_than_float32);
          svg.bar(x0, y - 6, end - x0, 12, colour_class(0));
        }
      double clear = end;
      for (const StorageRow& row : results_.rows)
        if (row.side != here && row.storage == storages_[i] && row.tokens == tokens) {
          const double x = panels.x(panel, row.faster_than_float32);
          const std::size_t other = index_of(row.side) + 1;
          svg.marker(x, y, other, colour_class(other));
          // The number stands clear of markers at the bar's end.
          if (x > end - 6 && x < end + number) clear = std::max(clear, x + 3);
        }
      for (const StorageRow& row : results_.rows)
        if (row.side == here && row.storage == storages_[i] && row.tokens == tokens)
          svg.text(clear + 5, y + 4, times(row.faster_than_float32), "small");
    }
  }

  [[nodiscard]] std::size_t index_of(const std::string& other) const {
    return static_cast<std::size_t>(std::find(others_.begin(), others_.end(), other) -
                                    others_.begin());
  }

  void draw_legend(Svg& svg, double y) const {
    svg.bar(16, y - 10, 28, 12, colour_class(0));
    svg.text(52, y, "this library", "small");
    for (std::size_t i = 0; i < others_.size(); ++i) {
      const double x = 180 + 130 * static_cast<double>(i);
      svg.marker(x, y - 4, i + 1, colour_class(i + 1));
      svg.text(x + 12, y, others_[i], "small");
    }
  }

  // Hundredths, as the table has them.
  [[nodiscard]] static std::string times(double value) {
    return short_number(std::round(value * 100) / 100);
  }

  [[nodiscard]] static std::string tokens_title(std::int64_t tokens) {
    return message(tokens, tokens == 1 ? " token" : " tokens");
  }

  [[nodiscard]] std::string caption() const {
    const auto part = [&](const char* before, const char* key) {
      return context_part(results_.context, before, key);
    };
    const std::int64_t threads = results_.rows.front().threads;
    return part("", "cpu") + message(", ", threads, threads == 1 ? " thread" : " threads") +
           part(", caches ", "caches") + part(", PyTorch ", "torch") +
           part(", bitsandbytes ", "bitsandbytes") + part(", torchao ", "torchao") +
           part(", ", "compiler") + part(" ", "flags") + part(", Eigen ", "eigen") +
           part(", ", "date").substr(0, 12);
  }

  // Says in words what the marks show, for who cannot see them.
  [[nodiscard]] std::string description() const {
    std::string text = "Bar chart, times as fast as float32 here.";
    for (const StorageRow& row : results_.rows)
      text += message(" ", row.storage, row.side == here ? "" : " of " + row.side, ", ",
                      tokens_title(row.tokens), ": ", short_number(row.faster_than_float32), ".");
    return text;
  }

  StorageResults results_;
  Axis axis_;
  std::vector<std::string> storages_;
  std::vector<std::string> others_;
  std::vector<std::int64_t> tokens_;
};

}  // namespace lora::bench
