#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/core/printable.hpp"

namespace lora {

/// The ways in which rotary positions are stretched beyond the length of pretraining: the rope
/// types of transformers, but for longrope.
enum class RotaryScaling {
  none,     ///< "default"
  linear,   ///< positions are divided by the factor
  dynamic,  ///< theta grows with the length, past max_positions
  llama3,   ///< low frequencies are divided by the factor, high ones kept
  yarn,     ///< the same on a ramp, and scores are scaled (Peng et al., "YaRN", 2023)
};

/// Settings of rotary positions; the words are those of a config.json's rope_parameters.
struct RotaryConfig {
  double theta = 10000;
  RotaryScaling scaling = RotaryScaling::none;
  double factor = 1;                            ///< how many times longer; unused by none
  Index max_positions = 0;                      ///< max_position_embeddings; dynamic
  Index original_positions = 0;                 ///< original_max_position_embeddings; llama3, yarn
  double low_freq_factor = 1;                   ///< llama3
  double high_freq_factor = 4;                  ///< llama3
  double beta_fast = 32;                        ///< yarn
  double beta_slow = 1;                         ///< yarn
  bool truncate = true;                         ///< yarn: whole numbers at the ends of the ramp
  std::optional<double> attention_factor = {};  ///< yarn: as below if left out
  double mscale = 0;                            ///< yarn: see rotary_magnitude; 0: not given
  double mscale_all_dim = 0;                    ///< yarn, likewise
  std::vector<double> frequency_factors = {};   ///< what each frequency is divided by at the end,
                                                ///< D / 2 numbers: a GGUF's rope_freqs; or none
};

/// Returns the scaling that files call `name`. Throws ConfigError for others, longrope too.
[[nodiscard]] inline RotaryScaling rotary_scaling(std::string_view name) {
  if (name == "default") return RotaryScaling::none;
  if (name == "linear") return RotaryScaling::linear;
  if (name == "dynamic") return RotaryScaling::dynamic;
  if (name == "llama3") return RotaryScaling::llama3;
  if (name == "yarn") return RotaryScaling::yarn;
  throw ConfigError(message("rope_type is \"", printable(name),
                            "\", expected default, linear, dynamic, llama3 or yarn",
                            name == "longrope" ? ": longrope is not built" : ""));
}

/// Throws ConfigError, naming `where`, for settings out of range or missing.
inline void validate(const RotaryConfig& config, std::string_view where) {
  const auto require = [&](bool good, std::string_view what, double value,
                           std::string_view expected) {
    if (!good)
      throw ConfigError(message(where, ": ", what, " is ", value, ", expected ", expected));
  };
  for (const auto& [what, value] : {std::pair{"theta", config.theta},
                                    {"factor", config.factor},
                                    {"low_freq_factor", config.low_freq_factor},
                                    {"high_freq_factor", config.high_freq_factor},
                                    {"beta_fast", config.beta_fast},
                                    {"beta_slow", config.beta_slow},
                                    {"attention_factor", config.attention_factor.value_or(1)}})
    require(is_finite(value) && value > 0, what, value, "a finite number above 0");
  require(config.theta > 1, "theta", config.theta, "more than 1");
  for (const auto& [what, value] :
       {std::pair{"mscale", config.mscale}, {"mscale_all_dim", config.mscale_all_dim}})
    require(is_finite(value) && value >= 0, what, value, "a finite number of at least 0");
  for (const double factor : config.frequency_factors)
    require(is_finite(factor) && factor > 0, "a frequency factor", factor,
            "a finite number above 0");
  if (config.scaling == RotaryScaling::none) return;
  require(config.factor >= 1, "factor", config.factor, "at least 1");
  if (config.scaling == RotaryScaling::dynamic)
    require(config.max_positions > 0, "max_positions", static_cast<double>(config.max_positions),
            "at least 1");
  if (config.scaling == RotaryScaling::llama3 || config.scaling == RotaryScaling::yarn)
    require(config.original_positions > 0, "original_positions",
            static_cast<double>(config.original_positions), "at least 1");
  if (config.scaling == RotaryScaling::llama3)
    require(config.high_freq_factor > config.low_freq_factor, "high_freq_factor",
            config.high_freq_factor, "more than low_freq_factor");
}

/// Returns what cosines and sines are multiplied by: 1 but for yarn, there attention_factor or,
/// with m(a) = 0.1 a ln(factor) + 1, m(mscale) / m(mscale_all_dim) where both are given, else m(1).
[[nodiscard]] inline double rotary_magnitude(const RotaryConfig& config) {
  if (config.scaling != RotaryScaling::yarn) return 1;
  if (config.attention_factor) return *config.attention_factor;
  const auto m = [&](double scale) { return 0.1 * scale * std::log(config.factor) + 1; };
  if (config.mscale != 0 && config.mscale_all_dim != 0)
    return m(config.mscale) / m(config.mscale_all_dim);
  return m(1);
}

/// Computes the D / 2 angles that a step of one position turns by, for heads of D features and
/// positions below `length` (which dynamic alone looks at):
///
///     f_i = theta^(-2 i / D),
///
/// scaled as the configuration says, to `frequencies`. Source: transformers 5.24's
/// modeling_rope_utils. Throws ShapeError unless these are D / 2, and so are frequency_factors
/// where there are any.
inline void rotary_frequencies(const RotaryConfig& config, Index head_features, Index length,
                               std::span<double> frequencies) {
  if (static_cast<Index>(frequencies.size()) != head_features / 2)
    throw ShapeError(message("rotary_frequencies: room for ", frequencies.size(),
                             " numbers, expected head_features / 2 = ", head_features / 2));
  if (!config.frequency_factors.empty() && config.frequency_factors.size() != frequencies.size())
    throw ShapeError(
        message("rotary_frequencies: ", config.frequency_factors.size(),
                " frequency_factors, expected head_features / 2 = ", frequencies.size()));
  const auto d = static_cast<double>(head_features);
  const double s = config.factor;
  double theta = config.theta;
  if (config.scaling == RotaryScaling::dynamic && length > config.max_positions && d > 2)
    theta *= std::pow(
        s * static_cast<double>(length) / static_cast<double>(config.max_positions) - (s - 1),
        d / (d - 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i)
    frequencies[i] = std::pow(theta, -2 * static_cast<double>(i) / d);

  const auto original = static_cast<double>(config.original_positions);
  if (config.scaling == RotaryScaling::linear) {
    for (double& f : frequencies) f /= s;
  } else if (config.scaling == RotaryScaling::llama3) {
    const double low = config.low_freq_factor, high = config.high_freq_factor;
    for (double& f : frequencies) {
      const double turns = original * f / (2 * std::numbers::pi);  // within the original length
      const double kept = std::clamp((turns - low) / (high - low), 0.0, 1.0);
      f = (1 - kept) * f / s + kept * f;
    }
  } else if (config.scaling == RotaryScaling::yarn) {
    const auto place_of = [&](double turns) {
      return d * std::log(original / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
    };
    double first = place_of(config.beta_fast), last = place_of(config.beta_slow);
    if (config.truncate) {
      first = std::floor(first);
      last = std::ceil(last);
    }
    first = std::max(first, 0.0);
    last = std::min(last, d - 1);
    if (first == last) last += 0.001;
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      const double ramp = std::clamp((static_cast<double>(i) - first) / (last - first), 0.0, 1.0);
      frequencies[i] = frequencies[i] / s * ramp + frequencies[i] * (1 - ramp);
    }
  }
  for (std::size_t i = 0; i < config.frequency_factors.size(); ++i)
    frequencies[i] /= config.frequency_factors[i];
}

/// Returns them.
[[nodiscard]] inline std::vector<double> rotary_frequencies(const RotaryConfig& config,
                                                            Index head_features, Index length) {
  std::vector<double> frequencies(static_cast<std::size_t>(head_features / 2));
  rotary_frequencies(config, head_features, length, frequencies);
  return frequencies;
}

}  // namespace lora
