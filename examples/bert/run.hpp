#pragma once

#include <filesystem>
#include <lora/io.hpp>
#include <lora/models.hpp>
#include <lora/text.hpp>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "../../benchmarks/peers/process_memory.hpp"
#include "../support/progress_bar.hpp"
#include "../support/table.hpp"
#include "classifier.hpp"
#include "model.hpp"
#include "options.hpp"
#include "problem.hpp"
#include "record.hpp"
#include "training.hpp"

namespace bert {

/// What a run gave.
struct Outcome {
  double validation = 0;  ///< the best epoch's score, in percent
  double test = 0;        ///< the best epoch's on the test texts
  History history;
};

/// Draws a bar for each epoch, and keeps a row for the table of epochs.
class EpochReport {
 public:
  EpochReport(std::ostream& out, bool terminal, std::string score_name, int patience)
      : out_(out), terminal_(terminal), score_name_(std::move(score_name)), patience_(patience) {}

  void begin(int epoch, std::size_t steps) {
    bar_ = std::make_unique<examples::ProgressBar>(
        out_, terminal_, "epoch " + std::to_string(epoch), static_cast<int>(steps));
    loss_ = tokens_ = seconds_ = 0;
    steps_ = 0;
  }

  void add(const Step& step) {
    ++steps_;
    loss_ += step.loss;
    tokens_ += static_cast<double>(step.tokens);
    seconds_ += step.seconds;
    bar_->advance(so_far());
  }

  void finish(double score, bool best, const History& history) {
    std::string text = so_far() + ", " + score_name_ + " " + examples::fixed(score, 2) + " %";
    if (best)
      text += ", saved";
    else if (history.progress.stalled(patience_))
      text += ", no better for " + std::to_string(patience_) + " epochs: the end";
    bar_->finish(text);
  }

  /// Returns the mean loss of the epoch.
  [[nodiscard]] double loss() const { return loss_ / std::max(steps_, 1); }

 private:
  [[nodiscard]] std::string so_far() const {
    return "loss " + examples::fixed(loss(), 4) + ", " +
           examples::grouped(static_cast<std::uint64_t>(seconds_ > 0 ? tokens_ / seconds_ : 0)) +
           " tokens/s";
  }

  std::ostream& out_;
  bool terminal_;
  std::string score_name_;
  int patience_;
  std::unique_ptr<examples::ProgressBar> bar_;
  double loss_ = 0;
  double tokens_ = 0;
  double seconds_ = 0;
  int steps_ = 0;
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
/// test texts. Writes options.out/adapter in PEFT's format and options.out/checkpoint.safetensors.
template <BertTask task>
Outcome run(const Options& options, const Problem& problem,
            const lora::text::BertTokenizer& tokenizer, std::ostream& out, std::ostream& errors,
            bool terminal) {
  const std::filesystem::path adapter = std::filesystem::path(options.out) / "adapter";
  Classifier<task> learner(
      lora::models::BertClassifier<float, task>(
          options.model, model_options(options, peft_config(options, problem.task_type),
                                       static_cast<Index>(problem.classes.size()))),
      tokenizer, problem.train, problem.validation, options.batch, problem.score);
  print_plan(learner.model(), problem, out);

  Record record(options.record);
  if (record.active()) {
    learner.model().save_adapter(record.first_adapter());
    record.add_settings(options, problem.task_type, problem.classes);
  }
  std::filesystem::create_directories(options.out);
  EpochReport report(errors, terminal, problem.score_name, options.patience);
  const Observer observer{
      .epoch_begins = [&](int epoch, std::size_t steps) { report.begin(epoch, steps); },
      .step_is_done =
          [&](const Batch& batch, const Step& step) {
            report.add(step);
            if (record.active()) record.add_step(batch, step);
          },
      .epoch_is_done =
          [&](double score, bool best, const History& history) {
            if (best) learner.model().save_adapter(adapter);
            report.finish(score, best, history);
            if (record.active()) record.add_score(score);
          }};
  Outcome outcome;
  outcome.history = train(learner, training_of(options), options.resume, observer);
  outcome.validation = outcome.history.progress.best_score;

  // What is scored is what was saved, by way of the files.
  learner.model().load_adapter(adapter);
  const Classes answers = learner.classify(problem.test);
  outcome.test = problem.score(problem.test, answers);
  const long peak_kib = lora::bench::process_memory().peak_kib;

  examples::Table table({"", problem.score_name + " %"});
  table.add({"validation, epoch " + std::to_string(outcome.history.progress.best_epoch),
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
