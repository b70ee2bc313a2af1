#pragma once

#include <lora/train/run_settings.hpp>

#include "../support/adapter_settings.hpp"
#include "../support/base_fingerprint.hpp"
#include "options.hpp"
#include "problem.hpp"

namespace bert {

/// Returns what makes a run besides what a trainer knows: a run that goes on must have the same.
[[nodiscard]] inline lora::train::RunSettings run_settings(const Options& options,
                                                           const Problem& problem) {
  lora::train::RunSettings settings = examples::adapter_settings(options);
  settings
      .add("base_dropout", options.base_dropout ? lora::io::Json(*options.base_dropout) : nullptr)
      .add("max_length", options.max_length)
      .add("classes", problem.classes)
      .add("training data", problem.train.fingerprint())
      .add("validation data", problem.validation.fingerprint())
      .add("base model", examples::base_fingerprint(options.model));
  return settings;
}

}  // namespace bert
