#pragma once

#include <filesystem>
#include <lora/io.hpp>
#include <lora/train/trainer.hpp>
#include <ostream>
#include <string>

#include "../support/adapter_config.hpp"
#include "../support/adapter_settings.hpp"
#include "../support/base_fingerprint.hpp"
#include "../support/epoch_report.hpp"
#include "../support/one_process.hpp"
#include "../support/peak_memory.hpp"
#include "../support/table.hpp"
#include "../support/weight_starts.hpp"
#include "learner.hpp"

namespace textgen {

/// Returns the adapters that the options ask for.
[[nodiscard]] inline lora::peft::PeftConfig peft_config(const TrainOptions& options,
                                                        const std::string& model) {
  return examples::adapter_config(options, "CAUSAL_LM", model);
}

/// Loads a model to be adapted.
template <class Family>
[[nodiscard]] LanguageModel<Family> load_to_train(const Common& common,
                                                  const TrainOptions& options) {
  if (examples::starts_from_weights(options.init) && common.weights != "packed")
    throw lora::ConfigError("--init " + options.init +
                            " takes a part of the weights out of them, and --weights " +
                            common.weights + " would round what is left: it needs packed");
  return {common.model,
          {.tuning = peft_config(options, common.model),
           .seed = options.seed,
           .recompute_activations = options.recompute}};
}

/// Says what is about to be trained.
template <class Model>
void print_plan(const Common& common, Model& model, const Parts& parts, std::ostream& out) {
  const auto trained = static_cast<std::uint64_t>(model.trainable_parameters());
  const auto total = static_cast<std::uint64_t>(model.total_parameters());
  out << "model: " << lora::models::read_model_type(common.model) << ", " << model.sizes().layers
      << " layers, " << model.sizes().features << " wide, " << examples::grouped(total)
      << " parameters, of which " << examples::grouped(trained) << " ("
      << examples::fixed(100 * static_cast<double>(trained) / static_cast<double>(total), 2)
      << " %) train\n"
      << "data:  " << parts.train.size() << " texts to train on ("
      << examples::grouped(static_cast<std::uint64_t>(parts.train.tokens())) << " tokens), "
      << parts.held_out.size() << " held out\n";
}

/// Returns what makes a run besides what a trainer knows: a run that goes on must have the same.
[[nodiscard]] inline lora::train::RunSettings run_settings(const Common& common,
                                                           const TrainOptions& options,
                                                           const Parts& parts) {
  lora::train::RunSettings settings = examples::adapter_settings(options);
  settings.add("training data", parts.train.fingerprint())
      .add("held-out data", parts.held_out.fingerprint())
      .add("base model", examples::base_fingerprint(common.model))
      .add("weights", common.weights);
  return settings;
}

/// The places of what a run leaves.
[[nodiscard]] inline std::filesystem::path peft_folder(const TrainOptions& options) {
  return std::filesystem::path(options.out) / "peft";
}
[[nodiscard]] inline std::filesystem::path gguf_file(const TrainOptions& options) {
  return std::filesystem::path(options.out) / "adapter.gguf";
}

/// Adapts the model to parts.train; keeps the epoch of the best perplexity, in the model and as
/// files: options.out/peft for PEFT, options.out/adapter.gguf for llama.cpp, a checkpoint and
/// metrics.jsonl. Returns what happened. `ranks` are the processes that share the run: of several
/// the first ends with the best epoch, and writes.
template <class Family, class Ranks = examples::OneProcess>
lora::train::History train(const Common& common, const TrainOptions& options,
                           LanguageModel<Family>& language, const Parts& parts, std::ostream& out,
                           std::ostream& errors, bool terminal, const Ranks& ranks = {}) {
  auto& model = language.model;
  print_plan(common, model, parts, out);
  const examples::WeightStarts starts(model, options.init);
  std::filesystem::create_directories(options.out);
  const std::filesystem::path folder = options.out;
  Learner learner(model, parts, options.batch, options.seed);
  auto&& shared = ranks.task(learner);
  lora::train::Trainer trainer(
      shared,
      lora::AdamW<float>(
          {.learning_rate = options.learning_rate, .weight_decay = options.weight_decay}),
      ranks.options(
          {.epochs = options.epochs,
           .warmup = options.warmup,
           .part_size = options.part_size,
           .early_stopping = {.patience = options.patience, .better = lora::train::Better::lower},
           .checkpoint = {folder / "checkpoint.safetensors", options.checkpoint_every,
                          run_settings(common, options, parts)},
           .metrics = folder / "metrics.jsonl"},
          shared));
  if (options.resume) trainer.resume();
  examples::EpochReport report(errors, terminal, "perplexity", options.patience, "");
  const lora::train::History history = trainer.run(
      {.epoch_begins = [&](int epoch, std::size_t steps) { report.begin(epoch, steps); },
       .step_is_done = [&](const lora::train::Batch&,
                           const lora::train::StepResult& step) { report.add(step); },
       .epoch_is_done =
           [&](const lora::train::EpochResult& epoch) {
             if (epoch.best && ranks.leads()) starts.save(model, peft_folder(options));
             report.finish(epoch);
           }});
  if (!ranks.leads()) return history;
  // What is handed on is the best epoch's, by way of the files.
  starts.load(model, peft_folder(options));
  std::string for_llama = gguf_file(options).string() + " (llama.cpp, --lora)";
  try {
    if (examples::starts_from_weights(options.init))
      lora::models::save_gguf_adapter(gguf_file(options),
                                      lora::peft::read_adapter<float>(peft_folder(options)),
                                      gguf_adapter_format(model.config()));
    else
      lora::models::save_gguf_adapter(gguf_file(options), model);
  } catch (const lora::ConfigError& error) {
    for_llama = std::string("none for llama.cpp: ") + error.what();
    std::filesystem::remove(gguf_file(options));  // an earlier run's would pass for this one's
  }
  out << "trained " << history.steps.size() << " steps in " << examples::fixed(history.seconds(), 1)
      << " s, " << examples::grouped(static_cast<std::uint64_t>(history.tokens_per_second()))
      << " tokens/s; peak memory " << examples::fixed(examples::peak_memory_mib(), 0)
      << " MiB\nadapters: " << peft_folder(options).string() << " (PeftModel.from_pretrained), "
      << for_llama << '\n';
  return history;
}

}  // namespace textgen
