#pragma once

#include <cstdint>

#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/layers/lora_config.hpp"

namespace lora {

/// The settings of AdaLoRA, by the words of PEFT's AdaLoraConfig (Zhang et al., "AdaLoRA: Adaptive
/// Budget Allocation for Parameter-Efficient Fine-Tuning", 2023, arXiv 2303.10512). Steps count
/// from 1, and every step is in one of three phases: up to tinit all ranks train, from then on to
/// total_step - tfinal the least important are taken away, and after that what is left trains.
struct AdaLoRAConfig {
  Index init_r = 12;             ///< rank of every layer at the start
  Index target_r = 8;            ///< rank of the layers at the end, on average; at most init_r
  std::uint64_t total_step = 0;  ///< steps of the whole training; has to be said
  std::uint64_t tinit = 0;       ///< steps before the first rank is taken away
  std::uint64_t tfinal = 0;      ///< steps after the last one
  std::uint64_t delta_t = 1;     ///< every so many steps ranks are taken away: PEFT's deltaT
  double beta1 = 0.85;           ///< of the moving average of the sensitivity, in (0, 1)
  double beta2 = 0.85;           ///< of the moving average of its uncertainty, in (0, 1)
  double orth_reg_weight = 0.5;  ///< of the distance of A and B from orthogonality, >= 0
  double alpha = 8;              ///< > 0; not divided by the rank, but by init_r: see scaling()
  double dropout = 0;            ///< in [0, 1): of the low-rank path's input, in training

  /// Returns the factor of the low-rank path, alpha / (init_r + 1e-5) as in PEFT, which stays as it
  /// is however many ranks are left.
  [[nodiscard]] double scaling() const { return alpha / (static_cast<double>(init_r) + 1e-5); }

  /// Returns the settings of the plain adapter of rank `rank` with this scaling.
  [[nodiscard]] LoRAConfig lora_config(Index rank) const {
    return {.rank = rank, .alpha = scaling() * static_cast<double>(rank), .dropout = dropout};
  }

  friend bool operator==(const AdaLoRAConfig&, const AdaLoRAConfig&) = default;
};

/// Throws ConfigError, naming `where`, for settings that cannot train: a target_r outside of 1 to
/// init_r, a schedule without a step at which ranks are taken away, numbers out of range.
template <class Where>
void validate(const AdaLoRAConfig& config, const Where& where) {
  const auto require = [&](bool right, const char* name, const auto& value, const char* expected) {
    if (!right)
      throw ConfigError(message(where, ": ", name, " is ", value, ", expected ", expected));
  };
  require(config.init_r >= 1, "init_r", config.init_r, "at least 1");
  require(config.target_r >= 1 && config.target_r <= config.init_r, "target_r", config.target_r,
          "1 to init_r");
  require(config.total_step >= 1, "total_step", config.total_step, "the number of steps, from 1");
  require(config.tfinal < config.total_step && config.tinit < config.total_step - config.tfinal,
          "tinit + tfinal", config.tinit + config.tfinal, "less than total_step");
  require(config.total_step - config.tfinal >= 2, "total_step - tfinal",
          config.total_step - config.tfinal, "at least 2: the first step finds what is important");
  require(config.delta_t >= 1, "delta_t", config.delta_t, "at least 1");
  require(config.beta1 > 0 && config.beta1 < 1, "beta1", config.beta1, "a number between 0 and 1");
  require(config.beta2 > 0 && config.beta2 < 1, "beta2", config.beta2, "a number between 0 and 1");
  require_non_negative(config.orth_reg_weight, where, "orth_reg_weight");
  require_finite(config.alpha, where, "alpha");
  require(config.alpha > 0, "alpha", config.alpha, "a positive number");
  require_below_one(config.dropout, where, "dropout");
}

}  // namespace lora
