#pragma once

#include <lora/train/trainer_options.hpp>

namespace examples {

/// The ranks of a run that this process does alone. mpi_ranks.hpp has those of several, with the
/// same members.
struct OneProcess {
  /// Returns what a Trainer trains: the learner itself.
  template <class Learner>
  [[nodiscard]] Learner& task(Learner& learner) const {
    return learner;
  }

  /// Returns the Trainer's options.
  template <class Task>
  [[nodiscard]] lora::train::TrainerOptions options(lora::train::TrainerOptions options,
                                                    const Task&) const {
    return options;
  }

  /// Tells whether this process prints and writes.
  [[nodiscard]] bool leads() const { return true; }
};

}  // namespace examples
