#pragma once

#include <CLI/CLI.hpp>
#include <lora/core/matrix.hpp>
#include <optional>
#include <string>

#include "../support/adapter_options.hpp"
#include "../support/number_options.hpp"

namespace bert {

using lora::Index;

/// What a program that adapts BERT to a task is asked for. Each program sets the defaults
/// that its task wants.
struct Options : examples::AdapterOptions {
  Options() {
    dropout = 0.1;
    targets = {"query", "value"};
    weight_decay = 0.01;
    epochs = 10;
    batch = 32;
  }

  std::string model = {};  ///< a model's folder in Hugging Face's layout
  std::string data = {};   ///< what the task reads
  std::string out = {};    ///< the adapter, and the checkpoint to go on from
  std::optional<double> base_dropout = {};
  Index max_length = 128;
  int threads = 1;
  std::string record = {};  ///< where a side-by-side run finds what this one did
};

/// Adds every option to `app`, which then parses into `options`. `data_help` says what --data is.
inline void add_options(CLI::App& app, Options& options, const std::string& data_help) {
  app.add_option("--model", options.model,
                 "folder of a BERT model in Hugging Face's layout: config.json, model.safetensors, "
                 "vocab.txt or tokenizer.json");
  app.add_option("--data", options.data, data_help);
  app.add_option("--out", options.out, "folder for the adapter (PEFT's format) and the checkpoint")
      ->capture_default_str();
  examples::add_adapter_options(
      app, options,
      {.examples = "sentences", .targets = "query,value", .score = "score on validation data"});
  app.add_option("--base-dropout", options.base_dropout,
                 "of the model's own layers, in training [what its config.json says]")
      ->check(examples::number_from(0, 0.99));
  app.add_option("--max-length", options.max_length, "tokens of a sentence that are read")
      ->check(CLI::Range(3, 65536))
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
