#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "lora/core/error.hpp"
#include "lora/optim/parameter_group.hpp"

namespace lora {

/// The ways in which the learning rate falls after the warm-up.
enum class Decay {
  constant,  ///< not at all
  linear,    ///< on a straight line to zero at the last step
  cosine,    ///< along half a cosine to zero at the last step
};

/// Settings of a Schedule.
struct ScheduleConfig {
  Decay decay = Decay::constant;
  double peak = 1e-3;              ///< learning rate after the warm-up
  std::uint64_t warmup_steps = 0;  ///< steps on a straight line from zero
  std::uint64_t total_steps = 0;   ///< warm-up included; unused by Decay::constant

  friend bool operator==(const ScheduleConfig&, const ScheduleConfig&) = default;
};

/// The learning rate as a function of the step, so that there is nothing to save but the step. The
/// formulas are those of transformers' get_constant_schedule_with_warmup,
/// get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup (4.x):
///
///     step < warmup:  peak * step / max(1, warmup)
///     linear:         peak * max(0, (total - step) / max(1, total - warmup))
///     cosine:         peak * max(0, (1 + cos(pi (step - warmup) / max(1, total - warmup))) / 2)
///
/// Unlike the cosine of transformers, which rises again past the last step, it stays at zero.
class Schedule {
 public:
  /// Throws ConfigError for a peak that is negative or not finite, and for a decay without, or
  /// with fewer total steps than the warm-up has.
  explicit Schedule(const ScheduleConfig& config) : config_(config) {
    require_non_negative(config.peak, "Schedule", "peak");
    if (config.decay == Decay::constant) return;
    if (config.total_steps == 0 || config.total_steps < config.warmup_steps)
      throw ConfigError(
          message("Schedule: total_steps is ", config.total_steps,
                  ", expected at least 1 and at least warmup_steps = ", config.warmup_steps));
  }

  /// Returns the learning rate of step `step`, the first being 0.
  [[nodiscard]] double at(std::uint64_t step) const {
    if (step < config_.warmup_steps)
      return config_.peak * static_cast<double>(step) / static_cast<double>(config_.warmup_steps);
    if (config_.decay == Decay::constant) return config_.peak;
    if (step >= config_.total_steps) return 0;
    const auto after = static_cast<double>(step - config_.warmup_steps);
    const auto length =
        static_cast<double>(std::max<std::uint64_t>(1, config_.total_steps - config_.warmup_steps));
    if (config_.decay == Decay::linear) return config_.peak * std::max(0.0, 1 - after / length);
    return config_.peak * std::max(0.0, (1 + std::cos(std::numbers::pi * after / length)) / 2);
  }

  [[nodiscard]] const ScheduleConfig& config() const { return config_; }

 private:
  ScheduleConfig config_;
};

}  // namespace lora
