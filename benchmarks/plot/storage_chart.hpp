#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "axis.hpp"
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
    Svg svg;
    svg.text(16, 30, title, "title");
    for (std::size_t i = 0; i < storages_.size(); ++i)
      svg.text(labels - 12, row_y(i) + 5, label(storages_[i]), "small end");
    for (std::size_t panel = 0; panel < tokens_.size(); ++panel) draw_panel(svg, panel);
    double y = draw_legend(svg, bottom() + 62) + 28;
    for (const std::string& line : wrapped(caption(), 125)) {
      svg.text(16, y, line, "small");
      y += 17;
    }
    return svg.document(width, y, title, description(), chart_style);
  }

 private:
  static constexpr const char* here = "here";
  static constexpr const char* title = "Frozen products of a training step, beside float32's";
  static constexpr double width = 900, labels = 226, right = 16, gap = 26, top = 78, pitch = 25;
  static constexpr double number = 30;  // pixels that times() takes behind a bar

  template <class T>
  static void add_new(std::vector<T>& all, const T& one) {
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
  }

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

  [[nodiscard]] static double row_y(std::size_t row) {
    return top + pitch * (static_cast<double>(row) + 0.5);
  }
  [[nodiscard]] double bottom() const {
    return top + pitch * static_cast<double>(storages_.size());
  }

  void draw_panel(Svg& svg, std::size_t panel) const {
    const auto panels = static_cast<double>(tokens_.size());
    const double wide = (width - labels - right - gap * (panels - 1)) / panels;
    const double x0 = labels + static_cast<double>(panel) * (wide + gap);
    // Room for the number behind the longest bar.
    const auto px = [&](double value) { return x0 + axis_.position(value) * (wide - 34); };

    const std::int64_t tokens = tokens_[panel];
    svg.text(x0, top - 14, tokens_title(tokens), "panel");
    for (const double tick : axis_.ticks()) {
      svg.line(px(tick), top, px(tick), bottom(), tick == 1 ? "frame" : "grid");
      svg.text(px(tick), bottom() + 18, short_number(tick), "small middle");
    }
    svg.line(px(1), top, px(1), bottom(), "frame");
    svg.text((x0 + px(axis_.high())) / 2, bottom() + 38, "times as fast", "small middle");
    for (std::size_t i = 0; i < storages_.size(); ++i) {
      double end = x0;
      for (const StorageRow& row : results_.rows)
        if (row.side == here && row.storage == storages_[i] && row.tokens == tokens) {
          end = px(row.faster_than_float32);
          svg.bar(x0, row_y(i) - 6, end - x0, 12, colour_class(0));
        }
      double clear = end;
      for (const StorageRow& row : results_.rows)
        if (row.side != here && row.storage == storages_[i] && row.tokens == tokens) {
          const double x = px(row.faster_than_float32);
          const std::size_t other = index_of(row.side) + 1;
          svg.marker(x, row_y(i), other, colour_class(other));
          // The number stands clear of markers at the bar's end.
          if (x > end - 6 && x < end + number) clear = std::max(clear, x + 3);
        }
      for (const StorageRow& row : results_.rows)
        if (row.side == here && row.storage == storages_[i] && row.tokens == tokens)
          svg.text(clear + 5, row_y(i) + 4, times(row.faster_than_float32), "small");
    }
  }

  [[nodiscard]] std::size_t index_of(const std::string& other) const {
    return static_cast<std::size_t>(std::find(others_.begin(), others_.end(), other) -
                                    others_.begin());
  }

  // Draws a sample of each mark at `y`; returns `y`.
  [[nodiscard]] double draw_legend(Svg& svg, double y) const {
    svg.bar(16, y - 10, 28, 12, colour_class(0));
    svg.text(52, y, "this library", "small");
    for (std::size_t i = 0; i < others_.size(); ++i) {
      const double x = 180 + 130 * static_cast<double>(i);
      svg.marker(x, y - 4, i + 1, colour_class(i + 1));
      svg.text(x + 12, y, others_[i], "small");
    }
    return y;
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
      const auto found = results_.context.find(key);
      return found == results_.context.end() ? std::string() : before + found->second;
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
