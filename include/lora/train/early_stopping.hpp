#pragma once

#include <limits>

#include "lora/core/error.hpp"

namespace lora::train {

/// Which of two scores is the better one.
enum class Better {
  higher,  ///< accuracy, F1
  lower,   ///< a loss, perplexity
};

/// Settings of an EarlyStopping.
struct EarlyStoppingOptions {
  int patience = 3;  ///< epochs without a better score before training stops; 0: it never does
  Better better = Better::higher;

  friend bool operator==(const EarlyStoppingOptions&, const EarlyStoppingOptions&) = default;
};

/// The scores that the epochs of a run reached on validation data: which was the best, and whether
/// it is time to stop.
class EarlyStopping {
 public:
  /// What it remembers, to be saved with a run.
  struct State {
    int epochs = 0;         ///< that were scored
    int best_epoch = 0;     ///< counted from 1; 0 before the first
    double best_score = 0;  ///< of that epoch
    friend bool operator==(const State&, const State&) = default;
  };

  /// Throws ConfigError for a patience below 0.
  explicit EarlyStopping(const EarlyStoppingOptions& options = {}) : options_(options) {
    if (options.patience < 0)
      throw ConfigError(message("EarlyStopping: patience is ", options.patience,
                                ", expected 0 (never stop) or more"));
  }

  /// Notes the score of the next epoch; returns whether it is the best so far. A score that equals
  /// the best, or is NaN, is no better.
  bool add(double score) {
    ++state_.epochs;
    const bool first = state_.best_epoch == 0 && score == score;
    const bool best = first || (options_.better == Better::higher ? score > state_.best_score
                                                                  : score < state_.best_score);
    if (best) {
      state_.best_epoch = state_.epochs;
      state_.best_score = score;
    }
    return best;
  }

  /// Tells whether `patience` epochs have gone by without a better score.
  [[nodiscard]] bool is_time() const {
    return options_.patience > 0 && state_.epochs - state_.best_epoch >= options_.patience;
  }

  [[nodiscard]] const EarlyStoppingOptions& options() const { return options_; }
  [[nodiscard]] const State& state() const { return state_; }

  /// Goes on from `state`. Throws ConfigError for one that cannot be.
  void set_state(const State& state) {
    if (state.epochs < 0 || state.best_epoch < 0 || state.best_epoch > state.epochs)
      throw ConfigError(message("EarlyStopping::set_state: the best epoch is ", state.best_epoch,
                                " of ", state.epochs, ", expected one of them"));
    state_ = state;
  }

 private:
  EarlyStoppingOptions options_;
  State state_;
};

}  // namespace lora::train
