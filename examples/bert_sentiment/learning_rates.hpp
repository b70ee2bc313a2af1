#pragma once

#include <cmath>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace sentiment {

/// Writes a learning rate for a reader: 1e-3, 2.5e-4.
[[nodiscard]] inline std::string short_rate(double rate) {
  const double exponent = std::floor(std::log10(rate) + 1e-9);
  std::ostringstream out;
  out.precision(3);
  out << rate / std::pow(10.0, exponent) << 'e' << exponent;
  return out.str();
}

/// Notes how good a method was on validation texts at one learning rate.
struct Trial {
  std::string method;
  double learning_rate = 0;
  double validation = 0;
};

/// Runs a method at each of the rates, of which there is at least one, and returns the result that
/// is best on validation texts, the first of equals: run(rate) returns one. Only its `validation`
/// is looked at. keep() is called when the last result is the best so far. Notes each in `trials`.
template <class Run, class Keep>
[[nodiscard]] auto best_of_rates(const std::vector<double>& rates, const Run& run, const Keep& keep,
                                 std::vector<Trial>& trials) {
  auto best = run(rates.front());
  keep();
  trials.push_back({best.method, rates.front(), best.validation});
  for (auto rate = rates.begin() + 1; rate != rates.end(); ++rate) {
    auto next = run(*rate);
    trials.push_back({next.method, *rate, next.validation});
    if (!(next.validation > best.validation)) continue;
    best = std::move(next);
    keep();
  }
  return best;
}

}  // namespace sentiment
