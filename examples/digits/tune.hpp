#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "../support/progress_bar.hpp"
#include "../support/table.hpp"
#include "data.hpp"
#include "experiment.hpp"
#include "methods.hpp"
#include "options.hpp"
#include "train.hpp"

namespace digits {

/// The learning rates that are tried, for every method the same.
inline constexpr std::array<double, 9> tried_rates{1e-3, 2e-3, 5e-3, 1e-2, 2e-2,
                                                   5e-2, 1e-1, 2e-1, 5e-1};

/// Trains every method at every rate and prints the accuracy on validation images of the new task.
/// Test images are not looked at.
inline void tune(const Options& options, std::ostream& out, std::ostream& error_output) {
  std::vector<std::string> methods;
  std::map<std::string, std::array<std::vector<double>, tried_rates.size()>> accuracies;
  const int trainings = static_cast<int>((2 + options.ranks.size()) * tried_rates.size());
  for (int i = 0; i < options.seeds; ++i) {
    const std::uint64_t seed = options.seed + static_cast<std::uint64_t>(i);
    examples::ProgressBar progress(error_output, examples::error_output_is_terminal(),
                                   "seed " + std::to_string(seed), trainings + 1);
    const Split all = load_data(options, seed);
    const Split old_task = task(all, 0, 4), new_task = task(all, 5, 9);
    progress.set_step("the base");
    auto network = new_network<float>(all.train.images.cols(), options.hidden, 5, seed);
    train(network, old_task.train, training(options, options.base_learning_rate, seed), [] {});
    progress.advance();
    const Base<float> base = freeze(network);
    for_each_method(base, 5, options, seed, [&](const Method& method, const auto& adapted) {
      progress.set_step(method.name);
      if (i == 0) methods.push_back(method.name);
      for (std::size_t k = 0; k < tried_rates.size(); ++k) {
        auto trial = adapted;
        train(trial, new_task.train, training(options, tried_rates[k], seed), [] {});
        accuracies[method.name][k].push_back(
            accuracy(trial.logits(new_task.validation.images), new_task.validation.labels));
        progress.advance();
      }
    });
    progress.finish("done");
  }
  std::vector<std::string> head{"validation %, learning rate"};
  for (const double rate : tried_rates) head.push_back(examples::fixed(rate, 4));
  examples::Table table(head);
  for (const std::string& method : methods) {
    std::vector<std::string> row{method};
    for (const auto& each : accuracies[method]) row.push_back(examples::mean_and_spread(each, 1));
    table.add(row);
  }
  // One rate serves LoRA at every rank.
  std::vector<std::string> row{"LoRA, mean of ranks"};
  for (std::size_t k = 0; k < tried_rates.size(); ++k) {
    std::vector<double> all;
    for (const auto& [method, each] : accuracies)
      if (method.starts_with("LoRA")) all.insert(all.end(), each[k].begin(), each[k].end());
    row.push_back(examples::fixed(examples::mean(all), 1));
  }
  table.add(row);
  table.print(out);
}

}  // namespace digits
