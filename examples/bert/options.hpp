#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <lora/core/matrix.hpp>
#include <lora/layers/lora_config.hpp>
#include <optional>
#include <string>
#include <vector>

#include "../support/number_options.hpp"

namespace bert {

using lora::Index;

/// What a program that adapts BERT to a task is asked for. Each program sets the defaults
/// that its task wants.
struct Options {
  std::string model = {};  ///< a model's folder in Hugging Face's layout
  std::string data = {};   ///< what the task reads
  std::string out = {};    ///< the adapter, and the checkpoint to go on from
  Index rank = 8;
  std::optional<double> alpha = {};
  double dropout = 0.1;
  std::optional<double> base_dropout = {};
  std::vector<std::string> targets{"query", "value"};
  double learning_rate = 1e-3;
  double weight_decay = 0.01;
  double warmup = 0.1;  ///< share of all steps
  int epochs = 10;
  Index batch = 32;
  Index part_size = 0;  ///< sentences that go through the model at once; 0: the whole batch
  Index max_length = 128;
  int patience = 3;
  std::uint64_t seed = 1;
  int threads = 1;
  std::uint64_t checkpoint_every = 0;  ///< steps; 0: at the end of each epoch alone
  bool resume = false;
  std::string record = {};  ///< where a side-by-side run finds what this one did

  /// Returns alpha, with its default of twice the rank.
  [[nodiscard]] double alpha_or_default() const {
    return alpha.value_or(2 * static_cast<double>(rank));
  }
};

/// Adds every option to `app`, which then parses into `options`. `data_help` says what --data is.
inline void add_options(CLI::App& app, Options& options, const std::string& data_help) {
  app.add_option("--model", options.model,
                 "folder of a BERT model in Hugging Face's layout: config.json, model.safetensors, "
                 "vocab.txt or tokenizer.json");
  app.add_option("--data", options.data, data_help);
  app.add_option("--out", options.out, "folder for the adapter (PEFT's format) and the checkpoint")
      ->capture_default_str();
  app.add_option("--rank", options.rank, "of the adapters")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--alpha", options.alpha, "of the adapters [2 x rank]")
      ->check(examples::finite_number());
  app.add_option("--dropout", options.dropout, "of the adapters' input, in training")
      ->check(examples::number_from(0, 0.99))
      ->capture_default_str();
  app.add_option("--base-dropout", options.base_dropout,
                 "of the model's own layers, in training [what its config.json says]")
      ->check(examples::number_from(0, 0.99));
  app.add_option("--target-modules", options.targets,
                 "modules that are adapted, by name as PEFT has it: query,value or all-linear")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--learning-rate", options.learning_rate, "at its peak")
      ->check(examples::number_from(0, 1))
      ->capture_default_str();
  app.add_option("--weight-decay", options.weight_decay, "of AdamW")
      ->check(examples::number_from(0, 1))
      ->capture_default_str();
  app.add_option("--warmup", options.warmup, "share of the steps in which the learning rate rises")
      ->check(examples::number_from(0, 1))
      ->capture_default_str();
  app.add_option("--epochs", options.epochs, "passes over the training data, at most")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--batch", options.batch, "sentences a step")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--part-size", options.part_size,
                 "sentences that go through the model at once, to save memory [a whole batch]")
      ->check(CLI::Range(1, 65536));
  app.add_option("--max-length", options.max_length, "tokens of a sentence that are read")
      ->check(CLI::Range(3, 65536))
      ->capture_default_str();
  app.add_option("--patience", options.patience,
                 "epochs without a better score on validation data before training stops")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the start values, the order and the dropout")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "results are the same for any number")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--checkpoint-every", options.checkpoint_every,
                 "steps from one checkpoint to the next within an epoch [its end alone]")
      ->check(CLI::Range(1, 1000000000));
  app.add_flag("--resume", options.resume, "go on from the checkpoint in --out");
  app.add_option("--record", options.record,
                 "folder for what compare_with_peft.py needs: first adapter, batches, losses");
}

}  // namespace bert
