#pragma once

#include <cstddef>
#include <functional>

#include "lora/train/history.hpp"

namespace lora::train {

/// Functions that are told how a run goes, each of them optional: to draw progress, to save the
/// best epoch, to stop by an exception. They are called on the training thread, between steps.
struct Observer {
  /// Is told the number of an epoch, from 1, and how many steps of it are to come.
  std::function<void(int epoch, std::size_t steps)> epoch_begins = {};
  /// Is told of each step, with the examples of its batch.
  std::function<void(const Batch&, const StepResult&)> step_is_done = {};
  /// Is told of each epoch after its validation and before its checkpoint: a run that is killed in
  /// between repeats the last steps and calls again, so what is saved here is never older than the
  /// checkpoint.
  std::function<void(const EpochResult&)> epoch_is_done = {};
};

}  // namespace lora::train
