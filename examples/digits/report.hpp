#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "../support/over_seeds.hpp"
#include "../support/table.hpp"
#include "experiment.hpp"
#include "options.hpp"

namespace digits {

/// Prints one row a method: means over the seeds, and standard deviations of what varies.
inline void print_table(const std::vector<SeedResults>& seeds, std::ostream& out) {
  examples::Table table({"method", "trainable", "of full", "new task %", "old %, off", "old %, on",
                         "seconds", "peak KiB", "stored bytes"});
  const auto& rows = seeds.front().rows;
  const auto full = static_cast<double>(rows.at(1).trainable);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto numbers = [&](const auto& get) {
      return examples::over_seeds(seeds,
                                  [&](const SeedResults& seed) { return get(seed.rows[i]); });
    };
    table.add(
        {rows[i].method, examples::grouped(static_cast<std::uint64_t>(rows[i].trainable)),
         i == 0 ? "-"
                : examples::fixed(100 * static_cast<double>(rows[i].trainable) / full, 1) + " %",
         examples::mean_and_spread(numbers([](const Result& r) { return r.new_task; }), 1),
         examples::mean_and_spread(numbers([](const Result& r) { return r.old_off; }), 1),
         examples::mean_and_spread(numbers([](const Result& r) { return r.old_on; }), 1),
         examples::fixed(
             examples::mean(numbers([](const Result& r) { return std::optional(r.cost.seconds); })),
             2),
         examples::grouped(rows[i].cost.bytes / 1024), examples::grouped(rows[i].stored)});
  }
  table.print(out);
  out << "new task: digits 5 to 9, by a new head that each method trains and counts.\n"
         "old: digits 0 to 4, by the base's head: with the adapter off, and on the adapted "
         "layers.\n"
         "seconds, peak: of that training; the peak is counted (weights, gradients, moments,\n"
         "activations), without data set and program. stored: files of what was trained.\n";
  if (seeds.size() > 1) out << "Means over " << seeds.size() << " seeds, +- standard deviation.\n";
}

/// Prints what was found of saving, loading, merging and switching off; returns whether all of it
/// is as it must be.
inline bool print_agreement(const std::vector<SeedResults>& seeds, const Options& options,
                            std::ostream& out) {
  Agreement all;
  for (const SeedResults& seed : seeds) all.add(seed.agreement);
  const auto bits = [](bool good) { return good ? "the same, bit for bit" : "NOT THE SAME"; };
  out << "\nEach adapter was saved in PEFT's format (" << options.out
      << "), loaded into a copy of the base, merged:\n"
      << "  loaded, its logits:               " << bits(all.loaded_is_saved) << '\n'
      << "  merged, its answers:              " << all.images - all.merged_answers_changed << " of "
      << all.images << " the same (logits differ by " << all.merged_difference << " at most)\n"
      << "  switched off, the base's logits:  " << bits(all.off_is_base) << '\n'
      << "  unmerged, the base's logits:      " << bits(all.unmerged_is_base) << '\n';
  const bool good = all.holds(options.hidden);
  if (!good) out << "This is not as it must be.\n";
  return good;
}

/// Prints how LoRA at each rank compares with full fine-tuning on the same seeds.
inline void print_comparison(const std::vector<SeedResults>& seeds, std::ostream& out) {
  const auto& rows = seeds.front().rows;
  out << "\nAgainst full fine-tuning on digits 5 to 9, in points, seed by seed:\n";
  for (std::size_t i = 2; i < rows.size(); ++i) {
    std::vector<double> differences;
    differences.reserve(seeds.size());
    for (const SeedResults& seed : seeds)
      differences.push_back(seed.rows[i].new_task.value() - seed.rows[1].new_task.value());
    out << "  " << rows[i].method << std::string(18 - rows[i].method.size(), ' ')
        << (examples::mean(differences) < 0 ? "" : "+") << examples::mean_and_spread(differences, 1)
        << '\n';
  }
}

}  // namespace digits
