#pragma once

#include <lora/train/run_settings.hpp>

#include "adapter_options.hpp"

namespace examples {

/// Returns what of the options makes a run, besides what a trainer knows: one that goes on must
/// have the same.
[[nodiscard]] inline lora::train::RunSettings adapter_settings(const AdapterOptions& options) {
  lora::train::RunSettings settings;
  settings.add("rank", options.rank)
      .add("alpha", options.alpha_or_default())
      .add("dora", options.dora)
      .add("init", options.init)
      .add("dropout", options.dropout)
      .add("target_modules", options.targets)
      .add("batch", options.batch)
      .add("seed", options.seed);
  return settings;
}

}  // namespace examples
