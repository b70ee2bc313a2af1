#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <utility>

#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/model_outline.hpp"
#include "lora/models/common/pretrained_weights.hpp"
#include "lora/models/common/tuning_plan.hpp"

namespace lora::models {

/// What a model is built from: its settings, its files, and what becomes of each module. `Config`
/// is a family's, and has an initializer_range. A model keeps `weights` as long as it lives.
template <class T, class Config>
struct ModelSource {
  /// Opens the files of `directory`. Throws FileError and ConfigError.
  ModelSource(const std::filesystem::path& directory, Config model_config,
              ModelOutline model_outline, const Tuning& tuning)
      : config(std::move(model_config)),
        outline(std::move(model_outline)),
        weights(std::make_shared<PretrainedWeights<T>>(directory)),
        plan(tuning, outline) {}

  /// Takes weights that are open. Throws ConfigError.
  ModelSource(std::shared_ptr<PretrainedWeights<T>> model_weights, Config model_config,
              ModelOutline model_outline, const Tuning& tuning)
      : config(std::move(model_config)),
        outline(std::move(model_outline)),
        weights(std::move(model_weights)),
        plan(tuning, outline) {}

  /// Returns what modules are built from.
  [[nodiscard]] ModelBuilder<T> builder(std::uint64_t seed) const {
    return {*weights, plan, config.initializer_range, seed};
  }

  Config config;
  ModelOutline outline;
  std::shared_ptr<PretrainedWeights<T>> weights;
  TuningPlan plan;
};

}  // namespace lora::models
