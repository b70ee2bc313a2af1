#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <lora/core/error.hpp>
#include <lora/train/metrics_log.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace curves {

/// One run's metrics, and the name that the drawing gives it.
struct Run {
  std::string name;
  std::vector<lora::train::Metrics> metrics;
};

/// One line of a panel.
struct Curve {
  using Points = std::vector<std::pair<double, double>>;  ///< (step, value), steps ascending

  std::string run;
  Points points;
};

/// The lines of one metric, one for each run that has it.
struct Panel {
  std::string metric;
  std::vector<Curve> curves;
};

/// Takes the metrics of these names out of the runs, a panel each, in their order. A metric that no
/// run has gives no panel. Throws FileError for a line without a step, for a number that is too
/// large to be drawn, and where nothing is left.
[[nodiscard]] inline std::vector<Panel> panels_of(const std::vector<Run>& runs,
                                                  const std::vector<std::string>& metrics) {
  constexpr double largest = 1e100;
  std::vector<Panel> panels;
  for (const std::string& metric : metrics) {
    Panel panel{metric, {}};
    for (const Run& run : runs) {
      Curve curve{run.name, {}};
      for (const lora::train::Metrics& line : run.metrics) {
        const auto value = line.find(metric), step = line.find("step");
        if (value == line.end()) continue;
        if (step == line.end())
          throw lora::FileError(lora::message(run.name, ": a line with ", metric, " has no step"));
        for (const double number : {value->second, step->second})
          if (!(std::abs(number) <= largest))
            throw lora::FileError(lora::message(run.name, ": ", number, " is too large to draw"));
        curve.points.emplace_back(step->second, value->second);
      }
      std::stable_sort(curve.points.begin(), curve.points.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
      if (!curve.points.empty()) panel.curves.push_back(std::move(curve));
    }
    if (!panel.curves.empty()) panels.push_back(std::move(panel));
  }
  if (panels.empty()) {
    std::string names;
    for (const std::string& metric : metrics) names += (names.empty() ? "" : ", ") + metric;
    throw lora::FileError("nothing to draw: no line has " + names);
  }
  return panels;
}

/// Returns the running mean of each point and those before it, `window` points at most.
[[nodiscard]] inline Curve::Points running_mean(const Curve::Points& points, std::size_t window) {
  Curve::Points means;
  double sum = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    // Summed anew once a window, so that rounding does not gather over a long run.
    if (i % window == 0) {
      sum = 0;
      for (std::size_t j = i >= window ? i - window + 1 : 0; j <= i; ++j) sum += points[j].second;
    } else {
      sum += points[i].second;
      if (i >= window) sum -= points[i - window].second;
    }
    means.emplace_back(points[i].first, sum / static_cast<double>(std::min(i + 1, window)));
  }
  return means;
}

/// Returns at most about `most` points: the means of as many neighbours as that takes. A drawing
/// has no room for more.
[[nodiscard]] inline Curve::Points thinned(const Curve::Points& points, std::size_t most) {
  const std::size_t each = (points.size() + most - 1) / most;
  if (each <= 1) return points;
  Curve::Points few;
  for (std::size_t first = 0; first < points.size(); first += each) {
    const std::size_t end = std::min(first + each, points.size());
    double steps = 0, values = 0;
    for (std::size_t i = first; i < end; ++i) {
      steps += points[i].first;
      values += points[i].second;
    }
    const auto count = static_cast<double>(end - first);
    few.emplace_back(steps / count, values / count);
  }
  return few;
}

}  // namespace curves
