#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <lora/core/matrix.hpp>
#include <optional>
#include <string>
#include <vector>

#include "number_options.hpp"

namespace examples {

/// What a program that trains adapters in one run is asked for. Each program sets the defaults that
/// its task wants and adds what it alone asks.
struct AdapterOptions {
  lora::Index rank = 8;
  std::optional<double> alpha = {};
  bool dora = false;
  std::string init = "kaiming";  ///< how the factors start
  double dropout = 0;
  std::vector<std::string> targets = {};
  double learning_rate = 1e-3;
  double weight_decay = 0;
  double warmup = 0.1;  ///< share of all steps
  int epochs = 1;
  lora::Index batch = 8;
  lora::Index part_size = 0;  ///< examples that go through the model at once; 0: the whole batch
  int patience = 3;
  std::uint64_t seed = 1;
  std::uint64_t checkpoint_every = 0;  ///< steps; 0: at the end of each epoch alone
  bool resume = false;

  /// Returns alpha, with its default of twice the rank.
  [[nodiscard]] double alpha_or_default() const {
    return alpha.value_or(2 * static_cast<double>(rank));
  }
};

/// The words of a program's task, for the help of its options.
struct AdapterWords {
  std::string examples;  ///< "sentences"
  std::string targets;   ///< two modules, as --target-modules takes them: "query,value"
  std::string score;     ///< that decides when training stops: "perplexity"
};

/// Adds the options from --rank to --patience to `app`, which then parses into `options`.
inline void add_adapter_options(CLI::App& app, AdapterOptions& options, const AdapterWords& words) {
  app.add_option("--rank", options.rank, "of the adapters")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--alpha", options.alpha, "of the adapters [2 x rank]")->check(finite_number());
  app.add_flag("--dora", options.dora,
               "adapters are DoRA's: the lengths of the weights' rows train too");
  app.add_option("--init", options.init,
                 "how the factors start: kaiming, gaussian, orthogonal, or with a part of the "
                 "weights, pissa, olora; what these save is of twice the rank, for the weights as "
                 "they were")
      ->check(CLI::IsMember({"kaiming", "gaussian", "orthogonal", "pissa", "olora"}))
      ->capture_default_str();
  app.add_option("--dropout", options.dropout, "of the adapters' input, in training")
      ->check(number_from(0, 0.99))
      ->capture_default_str();
  app.add_option(
         "--target-modules", options.targets,
         "modules that are adapted, by name as PEFT has it: " + words.targets + " or all-linear")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--learning-rate", options.learning_rate, "at its peak")
      ->check(number_from(0, 1))
      ->capture_default_str();
  app.add_option("--weight-decay", options.weight_decay, "of AdamW")
      ->check(number_from(0, 1))
      ->capture_default_str();
  app.add_option("--warmup", options.warmup, "share of the steps in which the learning rate rises")
      ->check(number_from(0, 1))
      ->capture_default_str();
  app.add_option("--epochs", options.epochs, "passes over the training data, at most")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--batch", options.batch, words.examples + " a step")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option(
         "--part-size", options.part_size,
         words.examples + " that go through the model at once, to save memory [a whole batch]")
      ->check(CLI::Range(1, 65536));
  app.add_option("--patience", options.patience,
                 "epochs without a better " + words.score + " before training stops")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
}

}  // namespace examples
