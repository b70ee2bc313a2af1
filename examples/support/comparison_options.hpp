#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <lora/core/matrix.hpp>
#include <optional>
#include <string>
#include <vector>

#include "number_options.hpp"

namespace examples {

/// What programs are asked for that compare LoRA at several ranks with full fine-tuning and a new
/// head alone.
struct ComparisonOptions {
  std::uint64_t seed = 1;
  int seeds = 1;
  std::vector<lora::Index> ranks = {};
  std::optional<double> alpha = {};
  double dropout = 0;
  int epochs = 30;
  lora::Index batch = 32;
  double learning_rate = 1e-2;
  double full_learning_rate = 1e-3;
  double head_learning_rate = 1e-1;
  int threads = 1;
  std::string out = {};
};

/// Adds these options to `app`, which then parses into `options`; their defaults are what stands
/// there.
inline void add_comparison_options(CLI::App& app, ComparisonOptions& options) {
  const auto rate = number_from(0, 1);
  app.add_option("--seed", options.seed, "of the first draw: images, start values, order")
      ->capture_default_str();
  app.add_option("--seeds", options.seeds, "repeat over this many seeds: mean and spread")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--ranks", options.ranks, "ranks of the adapters, as in 1,4,16")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--alpha", options.alpha, "alpha of the adapters [2 x rank]")
      ->check(finite_number());
  app.add_option("--dropout", options.dropout, "of the adapters' input, in training")
      ->check(number_from(0, 0.99))
      ->capture_default_str();
  app.add_option("--learning-rate", options.learning_rate, "of LoRA")
      ->check(rate)
      ->capture_default_str();
  app.add_option("--full-learning-rate", options.full_learning_rate, "of full fine-tuning")
      ->check(rate)
      ->capture_default_str();
  app.add_option("--head-learning-rate", options.head_learning_rate, "of a new head alone")
      ->check(rate)
      ->capture_default_str();
  app.add_option("--epochs", options.epochs, "passes over the images, the same for every method")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--batch", options.batch, "images a step")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "the results are the same for any")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--out", options.out, "directory that the adapters are saved in")
      ->capture_default_str();
}

}  // namespace examples
