#pragma once

#include <CLI/CLI.hpp>
#include <lora/layers/lora_config.hpp>
#include <string>

#include "../support/comparison_options.hpp"
#include "data.hpp"

namespace digits {

/// What the program is asked for. The learning rates of the three methods are those that
/// --tune found best under seeds that no figures are reported of; README.md has the rule.
struct Options : examples::ComparisonOptions {
  Options() {
    ranks = {1, 2, 4, 8, 16};
    full_learning_rate = 5e-3;
    head_learning_rate = 0.2;
    out = "digits-adapters";
  }

  std::string data = {};  ///< MNIST's directory; empty: the images that the program carries
  Index hidden = 256;
  double base_learning_rate = 1e-3;
  bool tune = false;

  /// Returns the settings of an adapter of `rank`.
  [[nodiscard]] lora::LoRAConfig lora_config(Index rank) const {
    return {.rank = rank, .alpha = alpha, .dropout = dropout};
  }
};

/// Adds every option to `app`, which then parses into `options`.
inline void add_options(CLI::App& app, Options& options) {
  examples::add_comparison_options(app, options);
  app.add_option("--data", options.data,
                 "directory of MNIST's four files, unpacked (train-images-idx3-ubyte ...); without "
                 "it, the 1,797 UCI digits that the program carries")
      ->check(CLI::ExistingDirectory);
  app.add_option("--hidden", options.hidden, "width of the two hidden layers")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_flag("--tune", options.tune,
               "instead: try learning rates, and show accuracy on validation images");
}

}  // namespace digits
