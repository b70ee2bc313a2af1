#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace lora::bench {

/// Maps values to [0, 1] along an axis, with its ticks. The range covers the data and ends on
/// ticks or, on a logarithmic axis of decades, close to the data.
class Axis {
 public:
  /// Makes a logarithmic axis with a tick at each power of two: ranks. 0 < low <= high.
  [[nodiscard]] static Axis powers_of_two(double low, double high) {
    const double first = std::floor(std::log2(low)), last = std::ceil(std::log2(high));
    std::vector<double> ticks;
    // Sixteen labels are as many as stand side by side.
    const double step = std::max(1.0, std::ceil((last - first) / 16));
    for (int i = 0; first + i * step <= last; ++i) ticks.push_back(std::exp2(first + i * step));
    return {std::exp2(first), std::exp2(last), true, std::move(ticks)};
  }

  /// Makes a logarithmic axis with ticks at 1, 2 and 5 times powers of ten (fewer where the range
  /// is wide), from the tick below the data to the tick above. 0 < low <= high.
  [[nodiscard]] static Axis decades(double low, double high) {
    const double first = std::floor(std::log10(low)), last = std::ceil(std::log10(high));
    std::vector<double> ticks;
    for (int i = 0; first + i <= last; ++i)
      for (const double digit : {1.0, 2.0, 5.0})
        if (last - first <= 5 || digit == 1) ticks.push_back(digit * std::pow(10.0, first + i));
    const auto above =
        std::find_if(ticks.begin(), ticks.end(), [&](double t) { return t >= high; });
    ticks.erase(above == ticks.end() ? above : above + 1, ticks.end());
    while (ticks.size() > 2 && ticks[1] <= low) ticks.erase(ticks.begin());
    low = std::min(low, ticks.front());
    high = std::max(high, ticks.back());
    return {low, high, true, std::move(ticks)};
  }

  /// Makes a linear axis from the round number below `low` to that above `high`, with 2 to 6
  /// steps of 1, 2 or 5 times a power of ten.
  [[nodiscard]] static Axis linear(double low, double high) {
    if (!(high > low)) high = low + std::max(1.0, std::abs(low));
    const double power = std::pow(10.0, std::floor(std::log10(high - low)));
    const double steps = (high - low) / power;  // 1 to 10 of the largest
    const double step = steps >= 5 ? 2 * power : steps >= 2 ? power : power / 2;
    const double first = std::floor(low / step), last = std::ceil(high / step);
    std::vector<double> ticks;
    for (int i = 0; first + i <= last; ++i) ticks.push_back((first + i) * step);
    low = ticks.front();
    high = ticks.back();
    return {low, high, false, std::move(ticks)};
  }

  [[nodiscard]] double low() const { return low_; }
  [[nodiscard]] double high() const { return high_; }
  [[nodiscard]] const std::vector<double>& ticks() const { return ticks_; }

  /// Returns where `value` lies between low (0) and high (1).
  [[nodiscard]] double position(double value) const {
    // One rank alone stands in the middle.
    if (!(high_ > low_)) return 0.5;
    if (logarithmic_) return std::log(value / low_) / std::log(high_ / low_);
    return (value - low_) / (high_ - low_);
  }

 private:
  Axis(double low, double high, bool logarithmic, std::vector<double> ticks)
      : low_(low), high_(high), logarithmic_(logarithmic), ticks_(std::move(ticks)) {}

  double low_;
  double high_;
  bool logarithmic_;
  std::vector<double> ticks_;
};

/// Writes a number for a reader: three significant digits, with k, M or G for thousands, millions
/// and thousands of millions.
[[nodiscard]] inline std::string short_number(double value) {
  const char* suffix = "";
  for (const char* next : {"k", "M", "G"}) {
    if (std::abs(value) < 999.5) break;
    value /= 1000;
    suffix = next;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g%s", value, suffix);
  return text.data();
}

}  // namespace lora::bench
