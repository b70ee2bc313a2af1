#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "../support/over_seeds.hpp"
#include "../support/table.hpp"
#include "experiment.hpp"

namespace sentiment {

/// Prints one row a method: means over the seeds, and standard deviations of the scores.
inline void print_methods(const std::vector<std::vector<Result>>& results, std::ostream& out) {
  examples::Table table({"method", "rate", "trainable", "test %", "validation %", "seconds",
                         "peak MiB", "file KiB", "base kept, on", "off"});
  const auto& rows = results.front();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto numbers = [&](const auto& get) {
      return examples::over_seeds(results, [&](const auto& seed) { return get(seed[i]); });
    };
    const auto some = [](double number) { return std::optional(number); };
    const auto mean = [&](const auto& get, int digits) {
      return examples::fixed(examples::mean(numbers([&](const Result& r) { return some(get(r)); })),
                             digits);
    };
    const auto off = numbers([](const Result& r) { return r.similarity_off; });
    table.add(
        {rows[i].method, short_rate(rows[i].learning_rate),
         examples::grouped(static_cast<std::uint64_t>(rows[i].trainable)),
         examples::mean_and_spread(numbers([&](const Result& r) { return some(r.test); }), 1),
         examples::mean_and_spread(numbers([&](const Result& r) { return some(r.validation); }), 1),
         mean([](const Result& r) { return r.seconds; }, 1),
         mean([](const Result& r) { return r.peak_mib; }, 0),
         examples::grouped((rows[i].stored + 512) / 1024),
         mean([](const Result& r) { return r.similarity; }, 3),
         off.empty() ? "-" : examples::fixed(examples::mean(off), 3)});
  }
  table.print(out);
  out << "rate: the learning rate at its peak. trainable: with the classifier. seconds: of the\n"
         "training steps. peak: of the process in loading, training and validation. base kept:\n"
         "mean cosine of the base's embeddings of untouched text and the adapted model's, adapter\n"
         "on and off; - where there is nothing to switch off.\n";
  if (results.size() > 1)
    out << "Means over " << results.size() << " seeds, +- standard deviation.\n";
}

/// Prints the learning rates that were tried, if any: one row a method, in percent on validation
/// texts, the one that was taken with a star.
inline void print_trials(const Comparison& comparison, std::ostream& out) {
  if (comparison.trials.empty()) return;
  std::set<double> rates;
  for (const Trial& trial : comparison.trials) rates.insert(trial.learning_rate);
  std::vector<std::string> head{"validation %, rate"};
  for (const double rate : rates) head.push_back(short_rate(rate));
  examples::Table table(head);
  for (const Result& taken : comparison.results.front()) {
    if (std::none_of(comparison.trials.begin(), comparison.trials.end(),
                     [&](const Trial& each) { return each.method == taken.method; }))
      continue;
    std::vector<std::string> row{taken.method};
    for (const double rate : rates) {
      const auto trial =
          std::find_if(comparison.trials.begin(), comparison.trials.end(), [&](const Trial& each) {
            return each.method == taken.method && each.learning_rate == rate;
          });
      const bool tried = trial != comparison.trials.end();
      row.push_back(!tried ? ""
                           : examples::fixed(trial->validation, 2) +
                                 (rate == taken.learning_rate ? "*" : " "));
    }
    table.add(row);
  }
  table.print(out);
  out << "Under the first seed. *: taken, for all seeds.\n\n";
}

}  // namespace sentiment
