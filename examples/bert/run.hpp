#pragma once

#include <filesystem>
#include <lora/io.hpp>
#include <lora/models.hpp>
#include <lora/text.hpp>
#include <lora/train/trainer.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "../../benchmarks/peers/process_memory.hpp"
#include "../support/epoch_report.hpp"
#include "../support/one_process.hpp"
#include "../support/table.hpp"
#include "../support/weight_starts.hpp"
#include "classifier.hpp"
#include "model.hpp"
#include "options.hpp"
#include "problem.hpp"
#include "record.hpp"
#include "run_settings.hpp"

namespace bert {

/// What a run gave.
struct Outcome {
  double validation = 0;  ///< the best epoch's score, in percent
  double test = 0;        ///< the best epoch's on the test texts
  lora::train::History history;
};

/// Says what is about to be trained.
template <class Model>
void print_plan(Model& model, const Problem& problem, std::ostream& out) {
  const auto& config = model.config();
  const auto trained = static_cast<std::uint64_t>(model.trainable_parameters());
  const auto total = static_cast<std::uint64_t>(model.total_parameters());
  out << "model: " << config.num_hidden_layers << " layers, " << config.hidden_size << " wide, "
      << examples::grouped(total) << " parameters, of which " << examples::grouped(trained) << " ("
      << examples::fixed(100 * static_cast<double>(trained) / static_cast<double>(total), 2)
      << " %) train\n"
      << "data:  " << examples::grouped(problem.train.size()) << " sentences to train, "
      << examples::grouped(problem.validation.size()) << " to validate, "
      << examples::grouped(problem.test.size()) << " to test (" << problem.source << "), "
      << problem.classes.size() << " classes\n";
}

/// Adapts the model that options name to the problem, keeps the best adapter and scores it on the
/// test texts. Writes options.out/adapter in PEFT's format, checkpoint.safetensors and
/// metrics.jsonl. `ranks` are the processes that share the run: of several the first returns the
/// score on the test texts, and writes.
template <BertTask task, class Ranks = examples::OneProcess>
Outcome run(const Options& options, const Problem& problem,
            const lora::text::BertTokenizer& tokenizer, std::ostream& out, std::ostream& errors,
            bool terminal, const Ranks& ranks = {}) {
  // The model with its adapters, and the texts it learns from.
  const std::filesystem::path folder = options.out, adapter = folder / "adapter";
  Classifier<task> learner(
      lora::models::BertClassifier<float, task>(
          options.model, model_options(options, peft_config(options, problem.task_type),
                                       static_cast<Index>(problem.classes.size()))),
      tokenizer, problem, options.batch, options.seed);
  print_plan(learner.model(), problem, out);
  if (!options.record.empty() && examples::starts_from_weights(options.init))
    throw lora::ConfigError("--record goes with starts that leave the weights as they are");
  const examples::WeightStarts starts(learner.model(), options.init);
  Record record(ranks.leads() ? options.record : "");
  if (record.active()) {
    learner.model().save_adapter(record.first_adapter());
    record.add_settings(options, problem.task_type, problem.classes);
  }

  // The run.
  std::filesystem::create_directories(folder);
  lora::train::TrainerOptions how = trainer_options(options);
  how.checkpoint = {folder / "checkpoint.safetensors", options.checkpoint_every,
                    run_settings(options, problem)};
  how.metrics = folder / "metrics.jsonl";
  auto&& shared = ranks.task(learner);
  lora::train::Trainer trainer(shared, optimizer(options, options.learning_rate),
                               ranks.options(how, shared));
  if (options.resume) trainer.resume();
  examples::EpochReport report(errors, terminal, problem.score_name, options.patience);
  const lora::train::Observer observer{
      .epoch_begins = [&](int epoch, std::size_t steps) { report.begin(epoch, steps); },
      .step_is_done =
          [&](const Batch& batch, const lora::train::StepResult& step) {
            report.add(step);
            if (record.active()) record.add_step(batch, step.loss);
          },
      .epoch_is_done =
          [&](const lora::train::EpochResult& epoch) {
            if (epoch.best && ranks.leads()) starts.save(learner.model(), adapter);
            report.finish(epoch);
            if (record.active()) record.add_score(*epoch.score);
          }};
  Outcome outcome;
  outcome.history = trainer.run(observer);
  outcome.validation = outcome.history.scores.best_score;
  if (!ranks.leads()) return outcome;

  // What is scored is what was saved, by way of the files.
  starts.load(learner.model(), adapter);
  const Classes answers = learner.classify(problem.test);
  outcome.test = problem.score(problem.test, answers);
  const long peak_kib = lora::bench::process_memory().peak_kib;

  examples::Table table({"", problem.score_name + " %"});
  table.add({"validation, epoch " + std::to_string(outcome.history.scores.best_epoch),
             examples::fixed(outcome.validation, 2)});
  table.add({"test, same adapter", examples::fixed(outcome.test, 2)});
  out << '\n';
  table.print(out);
  problem.print_details(problem.test, answers, out);
  out << "\ntrained " << outcome.history.steps.size() << " steps in "
      << examples::fixed(outcome.history.seconds(), 1) << " s, "
      << examples::grouped(static_cast<std::uint64_t>(outcome.history.tokens_per_second()))
      << " tokens/s; peak memory " << examples::fixed(static_cast<double>(peak_kib) / 1024, 0)
      << " MiB\nadapter: " << adapter.string()
      << " (PEFT's format: PeftModel.from_pretrained reads it)\n";
  if (record.active()) {
    // Not before: the peak is the training's.
    record.add_texts("train_texts", problem.train);
    record.add_texts("validation_texts", problem.validation);
    record.add_texts("test_texts", problem.test);
    record.finish(outcome.test, outcome.history.tokens_per_second(), peak_kib);
  }
  return outcome;
}

}  // namespace bert
