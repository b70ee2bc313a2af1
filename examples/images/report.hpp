#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "../support/methods_chart.hpp"
#include "../support/over_seeds.hpp"
#include "../support/table.hpp"
#include "run_method.hpp"

namespace images_example {

/// What every method gave: [seed][method].
using Results = std::vector<std::vector<Result>>;

/// Prints one row a method: means over the seeds, and standard deviations of the scores.
inline void print_table(const Results& results, Index all_parameters, std::ostream& out) {
  examples::Table table({"method", "trainable", "of all", "new task %", "old %, off", "old %, on",
                         "seconds", "peak MiB", "stored KiB"});
  const auto& rows = results.front();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto numbers = [&](const auto& get) {
      return examples::over_seeds(
          results, [&](const auto& seed) { return std::optional<double>(get(seed[i])); });
    };
    const auto off =
        examples::over_seeds(results, [&](const auto& seed) { return seed[i].old_off; });
    const double share =
        100 * static_cast<double>(rows[i].trainable) / static_cast<double>(all_parameters);
    table.add(
        {rows[i].method, examples::grouped(static_cast<std::uint64_t>(rows[i].trainable)),
         examples::fixed(share, 1) + " %",
         examples::mean_and_spread(numbers([](const Result& r) { return r.test; }), 1),
         examples::mean_and_spread(off, 1),
         examples::mean_and_spread(numbers([](const Result& r) { return r.old_on; }), 1),
         examples::fixed(examples::mean(numbers([](const Result& r) { return r.seconds; })), 2),
         examples::fixed(examples::mean(numbers([](const Result& r) { return r.peak_mib; })), 0),
         examples::grouped((rows[i].stored + 512) / 1024)});
  }
  table.print(out);
  out << "new task: by a new head, which each method trains and counts. old: by the base's head,\n"
         "with the adapter off and on the adapted layers; - where there is nothing to switch off.\n"
         "seconds: of the training steps. peak: of the process in loading and training, with\n"
         "program and data. stored: files of what was trained.\n";
  if (results.size() > 1)
    out << "Means over " << results.size() << " seeds, +- standard deviation.\n";
}

/// Prints what was found of saving, loading and merging; returns whether all of it is as it must
/// be.
inline bool print_agreement(const Results& results, const std::string& folder, std::ostream& out) {
  std::size_t loaded = 0, adapters = 0;
  double merged = 100;
  for (const auto& seed : results)
    for (const Result& result : seed) {
      if (!result.reloads) continue;
      ++adapters;
      loaded += *result.reloads ? 1 : 0;
      merged = std::min(merged, *result.merged_same);
    }
  out << "\nEach adapter was saved in PEFT's format (" << folder
      << "), loaded into a copy of the base, merged:\n  loaded, the same logits, bit for bit: "
      << loaded << " of " << adapters
      << "\n  merged, the same answers, at least: " << examples::fixed(merged, 2) << " %\n";
  const bool good = loaded == adapters && merged > 99;
  if (!good) out << "This is not as it must be.\n";
  return good;
}

/// Returns the drawing.
[[nodiscard]] inline examples::MethodsChart chart(const Results& results, std::string caption) {
  return {examples::method_points(results, &Result::test, &Result::old_on),
          {.title = "Ways of adapting a ResNet to new classes",
           .score = "accuracy on the new classes, %",
           .kept = "accuracy on the old classes, adapted layers, %",
           .families = family_words(),
           .caption = std::move(caption)}};
}

}  // namespace images_example
