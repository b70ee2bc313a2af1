#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lora/train/accumulation.hpp"
#include "lora/train/early_stopping.hpp"

namespace lora::train {

/// What one step of the optimizer did.
struct StepResult {
  std::uint64_t step = 0;  ///< counted from 1 over the whole run
  int epoch = 0;           ///< counted from 1
  double loss = 0;         ///< mean over the batch
  Index tokens = 0;        ///< as the task counts them
  double learning_rate = 0;
  std::optional<double> gradient_norm = {};  ///< before clipping; nothing where none is asked for
  double seconds = 0;
};

/// What one epoch came to.
struct EpochResult {
  int epoch = 0;                     ///< counted from 1
  double loss = 0;                   ///< mean over its steps, since the run began or was resumed
  std::optional<double> score = {};  ///< on validation data, of a task that has one
  bool best = false;                 ///< the best score so far, which is when to save
  bool stops = false;  ///< the score has not improved for so long that this is the end
};

/// What a run did, counted since it began or was resumed.
struct History {
  std::vector<StepResult> steps;
  std::vector<EpochResult> epochs;
  EarlyStopping::State scores;  ///< of the whole run: its best epoch and score

  /// Returns the time of the steps, without validation and saving.
  [[nodiscard]] double seconds() const {
    double sum = 0;
    for (const StepResult& step : steps) sum += step.seconds;
    return sum;
  }

  /// Returns the tokens that were read per second of the steps; 0 without steps.
  [[nodiscard]] double tokens_per_second() const {
    double tokens = 0;
    for (const StepResult& step : steps) tokens += static_cast<double>(step.tokens);
    const double time = seconds();
    return time > 0 ? tokens / time : 0;
  }
};

}  // namespace lora::train
