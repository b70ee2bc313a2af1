#pragma once

#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <lora/io.hpp>
#include <lora/lora.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "batches.hpp"

namespace bert {

/// Says how to train.
struct Training {
  int epochs = 10;
  int patience = 3;  ///< epochs without a better score before it stops
  Index batch = 32;
  double learning_rate = 1e-3;  ///< at its peak
  double weight_decay = 0.01;
  double warmup = 0.1;  ///< share of all steps
  double max_norm = 1;  ///< of all gradients together; larger ones are scaled down to it
  std::uint64_t seed = 1;
  std::filesystem::path checkpoint = {};  ///< written after each epoch; empty: none
};

/// What one step gave.
struct Step {
  double loss = 0;   ///< mean over what has a label
  Index tokens = 0;  ///< that were read, padding not counted
  double seconds = 0;
};

/// Is satisfied by what can be trained: it gives its training texts' lengths in tokens, makes a
/// step's gradients, and scores itself on validation data (more is better).
template <class L>
concept Learner = requires(L& learner, const Batch& batch) {
  { learner.lengths() } -> std::convertible_to<const std::vector<Index>&>;
  { learner.step(batch) } -> std::same_as<Step>;
  { learner.validate() } -> std::convertible_to<double>;
  { learner.parameters() } -> std::convertible_to<lora::ParameterList<float>>;
  learner.tape().set_random_state(learner.tape().random_state());
};

/// Says how far a training is: what a checkpoint keeps besides parameters, optimizer and tape.
struct Progress {
  int epochs = 0;  ///< done
  int best_epoch = 0;
  double best_score = -1;

  /// Tells whether `patience` epochs have gone by without a better score.
  [[nodiscard]] bool stalled(int patience) const { return epochs - best_epoch >= patience; }
};

/// What a training did, counted since it began or went on.
struct History {
  Progress progress;
  std::vector<Step> steps;

  /// Returns the time of the steps, without validation and saving.
  [[nodiscard]] double seconds() const {
    double sum = 0;
    for (const Step& step : steps) sum += step.seconds;
    return sum;
  }

  [[nodiscard]] double tokens_per_second() const {
    Index tokens = 0;
    for (const Step& step : steps) tokens += step.tokens;
    return tokens > 0 ? static_cast<double>(tokens) / seconds() : 0;
  }
};

/// Is told how a training goes.
struct Observer {
  /// Begins with the number of an epoch, from 1, and its steps.
  std::function<void(int epoch, std::size_t steps)> epoch_begins = [](int, std::size_t) {};
  std::function<void(const Batch&, const Step&)> step_is_done = [](const Batch&, const Step&) {};
  /// Gets the score on validation data, and whether it is the best so far: that is when to save.
  std::function<void(double score, bool best, const History&)> epoch_is_done =
      [](double, bool, const History&) {};
};

/// Names the settings that a run must share with the one it goes on from: others would make
/// another run of it.
[[nodiscard]] inline std::map<std::string, double> settings_of(const Training& training,
                                                               std::size_t texts) {
  return {{"epochs", training.epochs},
          {"batch", static_cast<double>(training.batch)},
          {"learning_rate", training.learning_rate},
          {"weight_decay", training.weight_decay},
          {"warmup", training.warmup},
          {"max_norm", training.max_norm},
          {"seed", static_cast<double>(training.seed)},
          {"texts", static_cast<double>(texts)}};
}

/// Writes what is needed to go on after an epoch, bit for bit. Throws lora::FileError.
template <Learner L>
void save_progress(const Training& training, L& learner, const lora::AdamW<float>& optimizer,
                   const Progress& progress) {
  lora::io::Checkpoint<float> checkpoint;
  checkpoint.parameters = lora::io::values_of<float>(learner.parameters());
  checkpoint.optimizer = optimizer.state();
  checkpoint.tapes = {learner.tape().random_state()};
  checkpoint.counters = {{"epochs_done", static_cast<std::uint64_t>(progress.epochs)},
                         {"best_epoch", static_cast<std::uint64_t>(progress.best_epoch)}};
  checkpoint.numbers = settings_of(training, learner.lengths().size());
  checkpoint.numbers["best_score"] = progress.best_score;
  lora::io::save_checkpoint(training.checkpoint, checkpoint);
}

/// Brings learner and optimizer back to where the checkpoint left them. Throws lora::FileError for
/// what is wrong with the file, and lora::ConfigError if it is of a run with other settings.
template <Learner L>
[[nodiscard]] Progress load_progress(const Training& training, L& learner,
                                     lora::AdamW<float>& optimizer) {
  const std::string where = training.checkpoint.string();
  const auto checkpoint = lora::io::load_checkpoint<float>(training.checkpoint);
  const auto number = [&](const auto& numbers, const char* name) {
    const auto found = numbers.find(name);
    if (found == numbers.end())
      throw lora::FileError(lora::message(where, ": does not say its ", name));
    return found->second;
  };
  for (const auto& [name, value] : settings_of(training, learner.lengths().size()))
    if (const double saved = number(checkpoint.numbers, name.c_str()); saved != value)
      throw lora::ConfigError(lora::message(where, ": is of a run with ", name, " = ", saved,
                                            ", expected this one's ", value));
  const Progress progress{static_cast<int>(number(checkpoint.counters, "epochs_done")),
                          static_cast<int>(number(checkpoint.counters, "best_epoch")),
                          number(checkpoint.numbers, "best_score")};
  if (checkpoint.tapes.size() != 1 || progress.epochs < 0 || progress.epochs > training.epochs)
    throw lora::FileError(where + ": is not a checkpoint of this program");
  optimizer.set_state(checkpoint.optimizer);
  lora::io::set_values<float>(learner.parameters(), checkpoint.parameters);
  learner.tape().set_random_state(checkpoint.tapes.front());
  return progress;
}

/// Trains by AdamW, the learning rate rising and falling on straight lines, until the epochs are
/// done or the score on validation data has not risen for `patience` of them. With `resume` it
/// goes on from the checkpoint.
template <Learner L>
History train(L& learner, const Training& training, bool resume, const Observer& observer = {}) {
  using Clock = std::chrono::steady_clock;
  const lora::ParameterList<float> parameters = learner.parameters();
  const std::size_t per_epoch =
      batches_of_epoch(learner.lengths(), training.batch, training.seed, 0).size();
  const auto total = per_epoch * static_cast<std::size_t>(training.epochs);
  const lora::Schedule schedule({.decay = lora::Decay::linear,
                                 .peak = training.learning_rate,
                                 .warmup_steps = static_cast<std::uint64_t>(
                                     std::ceil(training.warmup * static_cast<double>(total))),
                                 .total_steps = total});
  lora::AdamW<float> optimizer({.weight_decay = training.weight_decay});
  History history;
  if (resume) history.progress = load_progress(training, learner, optimizer);
  lora::zero_grad(parameters);

  Progress& progress = history.progress;
  while (progress.epochs < training.epochs && !progress.stalled(training.patience)) {
    const auto epoch = static_cast<std::uint64_t>(progress.epochs);
    observer.epoch_begins(progress.epochs + 1, per_epoch);
    std::uint64_t step_number = epoch * per_epoch;
    for (const Batch& batch :
         batches_of_epoch(learner.lengths(), training.batch, training.seed, epoch)) {
      const auto start = Clock::now();
      Step step = learner.step(batch);
      lora::clip_grad_norm(parameters, training.max_norm);
      optimizer.set_learning_rate(schedule.at(step_number++));
      optimizer.step(parameters);
      lora::zero_grad(parameters);
      const std::chrono::duration<double> seconds = Clock::now() - start;
      step.seconds = seconds.count();
      history.steps.push_back(step);
      observer.step_is_done(batch, step);
    }
    ++progress.epochs;
    const double score = learner.validate();
    const bool best = score > progress.best_score;
    if (best) {
      progress.best_score = score;
      progress.best_epoch = progress.epochs;
    }
    // The best adapter first: a run that is killed in between repeats the epoch and saves it again.
    observer.epoch_is_done(score, best, history);
    if (!training.checkpoint.empty()) save_progress(training, learner, optimizer, progress);
  }
  return history;
}

}  // namespace bert
