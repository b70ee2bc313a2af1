#pragma once

#include <cstdint>

#include "lora/models/common/pretrained_weights.hpp"
#include "lora/models/common/tuning_plan.hpp"
#include "lora/random/random.hpp"

namespace lora::models {

/// The things that a model's modules are built from: weights, plans, and a seed for each. Views
/// weights and plan, which must outlive it.
template <class T>
struct ModelBuilder {
  PretrainedWeights<T>& weights;
  const TuningPlan& plan;
  double initializer_range = 0.02;  ///< standard deviation of the weights of new modules
  std::uint64_t seed = 0;
  bool batch_statistics = false;  ///< batch norms train with those of their batches
  std::uint64_t seeds_given = 0;

  /// Returns another seed at each call: no two modules share random numbers.
  [[nodiscard]] std::uint64_t next_seed() {
    const auto words = Random(seed, RandomStream::initialisation, ++seeds_given).words(0, 0);
    return std::uint64_t{words[0]} << 32 | words[1];
  }
};

}  // namespace lora::models
