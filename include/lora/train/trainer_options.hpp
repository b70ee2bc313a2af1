#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/optim/schedule.hpp"
#include "lora/train/early_stopping.hpp"
#include "lora/train/run_settings.hpp"

namespace lora::train {

/// Where a run's checkpoints go.
struct CheckpointOptions {
  std::filesystem::path path = {};  ///< of the file, replaced atomically; empty: there is none
  std::uint64_t every_steps = 0;    ///< besides the end of each epoch; 0: then alone
  /// What makes the run besides what the trainer knows: rank, alpha, dropout, seed, a fingerprint
  /// of the data and of the base's weights. A run with others does not go on from the file.
  RunSettings settings = {};
  /// Whether this process writes the file; false: another one of the same run does, and this one
  /// only resumes from it.
  bool writes = true;
};

/// Settings of a Trainer. The learning rate at its peak, weight decay and the like are the
/// optimizer's.
struct TrainerOptions {
  int epochs = 10;              ///< passes over the training data, at most
  Decay decay = Decay::linear;  ///< of the learning rate, down to zero at the last step
  double warmup = 0.1;          ///< share of all steps in which it rises from zero
  double max_norm = 1;          ///< of all gradients together, see clip_grad_norm; 0: not clipped
  Index part_size = 0;          ///< examples that go through the model at once; 0: a whole batch
  EarlyStoppingOptions early_stopping = {};
  CheckpointOptions checkpoint = {};
  std::filesystem::path metrics = {};  ///< a file of JSON lines, see MetricsLog; empty: none
};

/// Throws ConfigError, naming the setting, for one that is out of range or missing.
inline void validate(const TrainerOptions& options) {
  const auto fail = [](const auto&... what) { throw ConfigError(message("Trainer: ", what...)); };
  if (options.epochs < 1) fail("epochs is ", options.epochs, ", expected at least 1");
  if (!is_finite(options.warmup) || options.warmup < 0 || options.warmup > 1)
    fail("warmup is ", options.warmup, ", expected a share from 0 to 1");
  if (!is_finite(options.max_norm) || options.max_norm < 0)
    fail("max_norm is ", options.max_norm, ", expected a finite number of at least 0");
  if (options.part_size < 0)
    fail("part_size is ", options.part_size, ", expected 0 (whole batches) or more");
  if (options.checkpoint.path.empty() && options.checkpoint.every_steps > 0)
    fail("checkpoint.every_steps is ", options.checkpoint.every_steps,
         ", and there is no checkpoint.path");
  if (!options.checkpoint.path.empty() && options.checkpoint.settings.empty())
    fail(
        "checkpoint.settings is empty, expected what makes this run (rank, alpha, data ...), so "
        "that another one cannot go on from its checkpoint");
}

/// Returns the settings that a trainer knows, for RunSettings: those that change a step's numbers
/// or which epoch is the best. Patience only says when to stop, and a run may go on with another.
[[nodiscard]] inline RunSettings settings_of(const TrainerOptions& options) {
  const auto word = [](Decay decay) -> std::string {
    return decay == Decay::linear ? "linear" : decay == Decay::cosine ? "cosine" : "constant";
  };
  return RunSettings()
      .add("epochs", options.epochs)
      .add("decay", word(options.decay))
      .add("warmup", options.warmup)
      .add("max_norm", options.max_norm)
      .add("part_size", options.part_size)
      .add("better", options.early_stopping.better == Better::higher ? "higher" : "lower");
}

}  // namespace lora::train
