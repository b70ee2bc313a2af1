#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lora/optim/clip.hpp"
#include "lora/optim/schedule.hpp"
#include "lora/train/accumulation.hpp"
#include "lora/train/fingerprint.hpp"
#include "lora/train/metrics_log.hpp"
#include "lora/train/observer.hpp"
#include "lora/train/optimizer_settings.hpp"
#include "lora/train/run_checkpoint.hpp"
#include "lora/train/task.hpp"
#include "lora/train/trainer_options.hpp"

namespace lora::train {

/// A whole training run: epochs of steps, the learning rate along a schedule, gradients clipped,
/// early stopping by a score, checkpoints, metrics.
///
///     Trainer trainer(task, AdamW<float>({.learning_rate = 1e-3}), {.epochs = 5});
///     const History history = trainer.run();
///
/// A run that is killed and resumed ends with the same bits as one without a break, and so does one
/// on another number of threads. Views the task, which must outlive it; one thread at a time.
template <TrainingTask Task, TrainingOptimizer<ScalarOf<Task>> Optimizer>
class Trainer {
 public:
  using T = ScalarOf<Task>;

  /// Makes a run of `task` from its beginning. The optimizer's learning rate is the schedule's
  /// peak. Throws ConfigError for options out of range and for a task whose first epoch has no
  /// batch.
  Trainer(Task& task, Optimizer optimizer, TrainerOptions options = {})
      : task_(&task),
        optimizer_(std::move(optimizer)),
        options_(std::move(options)),
        stopping_(options_.early_stopping) {
    validate(options_);
    const std::vector<Batch> first = task.batches(0);
    if (first.empty()) throw ConfigError("Trainer: the task's first epoch has no batch");
    steps_per_epoch_ = first.size();
    const auto total = static_cast<std::uint64_t>(options_.epochs) * steps_per_epoch_;
    const double warmup = std::ceil(options_.warmup * static_cast<double>(total));
    schedule_.emplace(ScheduleConfig{.decay = options_.decay,
                                     .peak = optimizer_.learning_rate(),
                                     .warmup_steps = static_cast<std::uint64_t>(warmup),
                                     .total_steps = total});
    if (options_.checkpoint.path.empty()) return;
    settings_ = options_.checkpoint.settings;
    settings_.add(settings_of(options_)).add(settings_of(optimizer_));
    settings_.add("batches", Fingerprint().add(first).text());
  }

  /// Goes back to where the checkpoint was written. Throws FileError if there is none or something
  /// is wrong with it, ConfigError, naming the setting, if it is of another run; then nothing has
  /// changed.
  void resume() {
    const auto& path = options_.checkpoint.path;
    if (path.empty()) throw ConfigError("Trainer::resume: there is no checkpoint.path");
    const auto saved = read_run<T>(path, settings_);
    const RunPosition& position = saved.position;
    const auto epoch = static_cast<std::uint64_t>(position.epochs);
    EarlyStopping stopping = stopping_;
    stopping.set_state(position.scores);
    if (position.epochs > options_.epochs ||
        (position.steps_of_epoch > 0 && (position.epochs == options_.epochs ||
                                         position.steps_of_epoch >= task_->batches(epoch).size())))
      throw FileError(message(path.string(), ": is after step ", position.steps_of_epoch,
                              " of epoch ", epoch + 1, ", which this run does not have"));
    restore_run(saved, *task_, optimizer_);
    stopping_ = stopping;
    position_ = position;
  }

  /// Trains until the epochs are done or the score has not improved for so long that it stops.
  /// Throws StateError, naming the step, for a loss or gradients that are not finite: parameters
  /// and checkpoint are then those of the step before. What an observer throws goes through.
  History run(const Observer& observer = {}) {
    History history;
    std::optional<MetricsLog> metrics;
    if constexpr (requires { task_->run_begins(place().first, place().second); })
      task_->run_begins(place().first, place().second);
    if (!options_.metrics.empty()) metrics.emplace(options_.metrics, position_.steps);
    while (position_.epochs < options_.epochs && !stopping_.is_time())
      run_epoch(observer, metrics, history);
    if constexpr (requires { task_->run_ends(place().first, place().second); })
      task_->run_ends(place().first, place().second);
    history.scores = stopping_.state();
    zero_grad(task_->parameters());
    optimizer_.set_learning_rate(schedule_->config().peak);  // as it came, for another run
    return history;
  }

  [[nodiscard]] const RunPosition& position() const { return position_; }
  [[nodiscard]] const Optimizer& optimizer() const { return optimizer_; }

 private:
  void run_epoch(const Observer& observer, std::optional<MetricsLog>& metrics, History& history) {
    const auto batches = task_->batches(static_cast<std::uint64_t>(position_.epochs));
    EpochResult result{.epoch = position_.epochs + 1};
    const std::size_t first = position_.steps_of_epoch;
    if (observer.epoch_begins) observer.epoch_begins(result.epoch, batches.size() - first);
    double losses = 0;
    for (std::size_t i = first; i < batches.size(); ++i) {
      const StepResult step = run_step(batches[i], i, batches.size());
      losses += step.loss;
      history.steps.push_back(step);
      if (metrics) write(step, *metrics);
      if (observer.step_is_done) observer.step_is_done(batches[i], step);
      const std::uint64_t every = options_.checkpoint.every_steps;
      if (every > 0 && position_.steps % every == 0 && i + 1 < batches.size()) save();
    }
    position_.steps_of_epoch = 0;
    ++position_.epochs;
    if (batches.size() > first) result.loss = losses / static_cast<double>(batches.size() - first);
    validate_epoch(result);
    if (metrics && result.score)
      metrics->add({{"step", static_cast<double>(position_.steps)},
                    {"epoch", result.epoch},
                    {"score", *result.score}});
    history.epochs.push_back(result);
    history.scores = stopping_.state();
    if (observer.epoch_is_done) observer.epoch_is_done(result);
    save();
  }

  // The step of number `i` of an epoch of `count`.
  StepResult run_step(const Batch& batch, std::size_t i, std::size_t count) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    const ParameterList<T> parameters = task_->parameters();
    StepResult result{.step = position_.steps + 1, .epoch = position_.epochs + 1};
    optimizer_.set_learning_rate(schedule_->at(place_in_schedule(i, count)));
    result.learning_rate = optimizer_.learning_rate();
    try {
      Accumulation accumulation(parameters);
      const auto add = [&](const Batch& part) {
        const BatchLoss loss = task_->loss(part);
        accumulation.add(loss);
        task_->backward();
        result.tokens += loss.tokens;
      };
      if (options_.part_size == 0)
        add(batch);
      else
        for (const Batch& part : parts_of(batch, options_.part_size)) add(part);
      result.loss = accumulation.finish();
      // Without clipping too the gradients have to be finite: by this norm none is scaled.
      const bool clips = options_.max_norm > 0;
      const double norm = clip_grad_norm(
          parameters, clips ? options_.max_norm : std::numeric_limits<double>::max());
      if (clips) result.gradient_norm = norm;
    } catch (const StateError& error) {
      throw StateError(message("step ", result.step, ": ", error.what()));
    }
    optimizer_.step(parameters);
    ++position_.steps_of_epoch;
    ++position_.steps;
    const std::chrono::duration<double> seconds = Clock::now() - start;
    result.seconds = seconds.count();
    return result;
  }

  // The epochs and steps that are done.
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> place() const {
    return {static_cast<std::uint64_t>(position_.epochs), position_.steps};
  }

  // Where the epochs differ in steps, the learning rate follows the share of the epoch that is
  // done.
  [[nodiscard]] std::uint64_t place_in_schedule(std::size_t i, std::size_t count) const {
    return static_cast<std::uint64_t>(position_.epochs) * steps_per_epoch_ +
           i * steps_per_epoch_ / count;
  }

  void validate_epoch(EpochResult& result) {
    if constexpr (ValidatedTask<Task>) {
      result.score = static_cast<double>(task_->validate());
      result.best = stopping_.add(*result.score);
      result.stops = stopping_.is_time();
    }
    position_.scores = stopping_.state();
  }

  static void write(const StepResult& step, MetricsLog& metrics) {
    // No times: the file of a run that was resumed is that of one without a break.
    metrics.add({{"step", static_cast<double>(step.step)},
                 {"epoch", step.epoch},
                 {"loss", step.loss},
                 {"learning_rate", step.learning_rate},
                 {"gradient_norm", step.gradient_norm.value_or(std::nan(""))},
                 {"tokens", static_cast<double>(step.tokens)}});
  }

  void save() {
    if (options_.checkpoint.writes && !options_.checkpoint.path.empty())
      save_run(options_.checkpoint.path, *task_, optimizer_, position_, settings_);
  }

  Task* task_;
  Optimizer optimizer_;
  TrainerOptions options_;
  EarlyStopping stopping_;
  RunSettings settings_;
  std::optional<Schedule> schedule_;
  std::uint64_t steps_per_epoch_ = 0;
  RunPosition position_;
};

}  // namespace lora::train
