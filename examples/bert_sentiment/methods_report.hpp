#pragma once

#include <cstddef>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "../support/table.hpp"
#include "experiment.hpp"

namespace sentiment {

/// Collects one number of method `row` over all seeds, where there is one.
template <class Get>
[[nodiscard]] std::vector<double> over_seeds(const std::vector<std::vector<Result>>& results,
                                             std::size_t row, const Get& get) {
  std::vector<double> numbers;
  for (const auto& seed : results)
    if (const std::optional<double> number = get(seed[row])) numbers.push_back(*number);
  return numbers;
}

/// Prints one row a method: means over the seeds, and standard deviations of the scores.
inline void print_methods(const std::vector<std::vector<Result>>& results, std::ostream& out) {
  examples::Table table({"method", "trainable", "test %", "validation %", "seconds", "peak MiB",
                         "stored bytes", "base kept, on", "off"});
  const auto& rows = results.front();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto numbers = [&](const auto& get) { return over_seeds(results, i, get); };
    const auto some = [](double number) { return std::optional(number); };
    const auto off = numbers([](const Result& r) { return r.similarity_off; });
    table.add(
        {rows[i].method, examples::grouped(static_cast<std::uint64_t>(rows[i].trainable)),
         examples::mean_and_spread(numbers([&](const Result& r) { return some(r.test); }), 1),
         examples::mean_and_spread(numbers([&](const Result& r) { return some(r.validation); }), 1),
         examples::fixed(examples::mean(numbers([&](const Result& r) { return some(r.seconds); })),
                         1),
         examples::fixed(examples::mean(numbers([&](const Result& r) { return some(r.peak_mib); })),
                         0),
         examples::grouped(rows[i].stored),
         examples::fixed(
             examples::mean(numbers([&](const Result& r) { return some(r.similarity); })), 3),
         off.empty() ? "-" : examples::fixed(examples::mean(off), 3)});
  }
  table.print(out);
  out << "seconds: of the training steps. peak: of the process, from loading the model on.\n"
         "base kept: mean cosine of the base's embeddings of untouched text and the adapted\n"
         "model's, adapter on and off; - where there is nothing to switch off.\n";
  if (results.size() > 1)
    out << "Means over " << results.size() << " seeds, +- standard deviation.\n";
}

}  // namespace sentiment
