#pragma once

#include <cmath>
#include <optional>

#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"

namespace lora {

/// How A and B start. Either way B A = 0, so training starts from the base model.
enum class LoRAInit {
  kaiming,   ///< A uniform on (-1/sqrt(in), 1/sqrt(in)), B zero: PEFT's init_lora_weights=True
  gaussian,  ///< A normal with standard deviation 1/rank, B zero: PEFT's "gaussian"
};

/// The settings of an adapter; the words are those of PEFT's LoraConfig.
struct LoRAConfig {
  Index rank = 8;                     ///< R > 0; may exceed min(in, out), as in PEFT
  std::optional<double> alpha = {};   ///< any finite number; 2 * rank when left out
  double dropout = 0;                 ///< in [0, 1): of the low-rank path's input, in training
  bool use_rslora = false;            ///< scaling alpha / sqrt(rank) instead of alpha / rank
  LoRAInit init = LoRAInit::kaiming;  ///< how A starts
  bool train_bias = false;            ///< trains the base bias too: PEFT's bias="lora_only"
  bool use_dora = false;              ///< trains the lengths of W + s B A's rows apart: DoRA

  /// Returns alpha, with its default of twice the rank.
  [[nodiscard]] double alpha_or_default() const {
    return alpha.value_or(2 * static_cast<double>(rank));
  }

  /// Returns the factor of the low-rank path: alpha / rank, or alpha / sqrt(rank) with
  /// use_rslora (Kalajdzievski, "A rank stabilization scaling factor", 2023).
  [[nodiscard]] double scaling() const {
    const auto r = static_cast<double>(rank);
    return alpha_or_default() / (use_rslora ? std::sqrt(r) : r);
  }

  friend bool operator==(const LoRAConfig&, const LoRAConfig&) = default;
};

/// Throws ConfigError, naming `where`, unless rank > 0, alpha is finite and 0 <= dropout < 1.
template <class Where>
void validate(const LoRAConfig& config, const Where& where) {
  if (config.rank <= 0)
    throw ConfigError(message(where, ": rank is ", config.rank, ", expected at least 1"));
  require_finite(config.alpha_or_default(), where, "alpha");
  require_below_one(config.dropout, where, "dropout");
}

}  // namespace lora
