#pragma once

#include <lora/train/run_settings.hpp>

#include "../support/base_fingerprint.hpp"
#include "options.hpp"
#include "problem.hpp"

namespace bert {

/// Returns what makes a run besides what a trainer knows: a run that goes on must have the same.
[[nodiscard]] inline lora::train::RunSettings run_settings(const Options& options,
                                                           const Problem& problem) {
  lora::train::RunSettings settings;
  settings.add("rank", options.rank)
      .add("alpha", options.alpha_or_default())
      .add("dora", options.dora)
      .add("init", options.init)
      .add("dropout", options.dropout)
      .add("base_dropout", options.base_dropout ? lora::io::Json(*options.base_dropout) : nullptr)
      .add("target_modules", options.targets)
      .add("max_length", options.max_length)
      .add("batch", options.batch)
      .add("seed", options.seed)
      .add("classes", problem.classes)
      .add("training data", problem.train.fingerprint())
      .add("validation data", problem.validation.fingerprint())
      .add("base model", examples::base_fingerprint(options.model));
  return settings;
}

}  // namespace bert
