#pragma once

#include <cstdint>
#include <optional>

#include "lora/core/matrix.hpp"
#include "lora/models/common/tuning.hpp"
#include "lora/models/resnet/resnet_config.hpp"

namespace lora::models {

/// Settings of a ResNetClassifier that its files do not say.
struct ResNetOptions {
  Tuning tuning = HeadOnly{};               ///< what trains
  std::uint64_t seed = 0;                   ///< of start values and dropout
  std::optional<Index> labels = {};         ///< classes of a new head; the file's if left out
  bool new_head = false;                    ///< draw the head anew even if the files have one
  std::optional<ResNetConfig> config = {};  ///< in place of config.json, where there is none

  /// Whether batch norms train with the statistics of their batches and move the running ones, as
  /// a network that is trained from scratch needs. All norms have to train as a whole then, so that
  /// what moves is also stored; the task of a Trainer passes stored_parameters() on, so that its
  /// checkpoints hold it too.
  bool batch_statistics = false;
};

}  // namespace lora::models
