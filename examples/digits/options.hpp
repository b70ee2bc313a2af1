#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <lora/layers/lora_config.hpp>
#include <optional>
#include <string>
#include <vector>

#include "../support/number_options.hpp"
#include "data.hpp"

namespace digits {

/// What the program is asked for. The learning rates of the three methods are those that
/// --tune found best under seeds that no figures are reported of; README.md has the rule.
struct Options {
  std::string data = {};  ///< MNIST's directory; empty: the images that the program carries
  std::uint64_t seed = 1;
  int seeds = 1;
  std::vector<Index> ranks{1, 2, 4, 8, 16};
  std::optional<double> alpha = {};
  double dropout = 0;
  int epochs = 30;
  Index batch = 32;
  Index hidden = 256;
  double base_learning_rate = 1e-3;
  double full_learning_rate = 5e-3;
  double head_learning_rate = 0.2;
  double learning_rate = 1e-2;
  int threads = 1;
  std::string out = "digits-adapters";
  bool tune = false;

  /// Returns the settings of an adapter of `rank`.
  [[nodiscard]] lora::LoRAConfig lora_config(Index rank) const {
    return {.rank = rank, .alpha = alpha, .dropout = dropout};
  }
};

/// Adds every option to `app`, which then parses into `options`.
inline void add_options(CLI::App& app, Options& options) {
  const auto rate = examples::number_from(0, 1);
  app.add_option("--data", options.data,
                 "directory of MNIST's four files, unpacked (train-images-idx3-ubyte ...); without "
                 "it, the 1,797 UCI digits that the program carries")
      ->check(CLI::ExistingDirectory);
  app.add_option("--seed", options.seed, "of the split, the start values and the order")
      ->capture_default_str();
  app.add_option("--seeds", options.seeds, "repeat over this many seeds: mean and spread")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--ranks", options.ranks, "ranks of the adapters, as in 1,2,4,8,16")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--alpha", options.alpha, "alpha of the adapters [2 x rank]")
      ->check(examples::finite_number());
  app.add_option("--dropout", options.dropout, "of the adapters' input, in training")
      ->check(examples::number_from(0, 0.99))
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
  app.add_option("--hidden", options.hidden, "width of the two hidden layers")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--threads", options.threads,
                 "for images larger than the program's own; the results are the same for any")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--out", options.out, "directory that the adapters are saved in")
      ->capture_default_str();
  app.add_flag("--tune", options.tune,
               "instead: try learning rates, and show accuracy on validation images");
}

}  // namespace digits
