#pragma once

#include <cmath>
#include <cstddef>
#include <optional>
#include <string_view>

#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"

namespace lora {

/// How A and B start. The first three need nothing but a seed. The others are made of W or of data:
/// the functions that make them set this, and no new adapter can be drawn with it. With `pissa` and
/// all after it the weight beside the adapter is no longer W, but W - s B A of the start. Whichever
/// it is, training starts from what the base model computes.
enum class LoRAInit {
  kaiming,     ///< A uniform on (-1/sqrt(in), 1/sqrt(in)), B zero: PEFT's init_lora_weights=True
  gaussian,    ///< A normal with standard deviation 1/rank, B zero: PEFT's "gaussian"
  orthogonal,  ///< A and B random with B A = 0: see orthogonal(); the rank is even
  eva,         ///< A the main directions of the inputs, B zero: see EvaStarts
  pissa,       ///< W's main directions: see start_pissa
  fast_pissa,  ///< the same by the randomised search: PEFT's "pissa_niter_N"
  olora,       ///< W's first directions by QR: see start_olora
  corda,       ///< W's main or least directions for some inputs: see start_corda
  lora_ga,     ///< the main directions of W's gradient: see start_lora_ga
};

/// Returns what the start is called in messages, as PEFT calls it.
[[nodiscard]] constexpr std::string_view name_of(LoRAInit init) {
  constexpr std::string_view names[] = {"kaiming", "gaussian", "orthogonal",
                                        "eva",     "pissa",    "pissa_niter_N",
                                        "olora",   "corda",    "lora_ga"};
  return names[static_cast<std::size_t>(init)];
}

/// Tells whether an adapter of this start belongs to a changed weight, W - s B A.
[[nodiscard]] constexpr bool changes_base(LoRAInit init) { return init >= LoRAInit::pissa; }

/// The settings of an adapter; the words are those of PEFT's LoraConfig.
struct LoRAConfig {
  Index rank = 8;                     ///< R > 0; may exceed min(in, out), as in PEFT
  std::optional<double> alpha = {};   ///< any finite number; 2 * rank when left out
  double dropout = 0;                 ///< in [0, 1): of the low-rank path's input, in training
  bool use_rslora = false;            ///< scaling alpha / sqrt(rank) instead of alpha / rank
  LoRAInit init = LoRAInit::kaiming;  ///< how A and B start
  bool train_bias = false;            ///< trains the base bias too: PEFT's bias="lora_only"
  bool use_dora = false;              ///< trains the lengths of W + s B A's rows apart: DoRA
  bool freeze_a = false;              ///< A stays as it starts, and backward needs no x: LoRA-FA
  bool lora_bias = false;             ///< B has a bias b_B (out) that trains: y gets s b_B too

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

/// Throws ConfigError, naming `where`, unless rank > 0, alpha is finite and 0 <= dropout < 1, and
/// for lora_bias with DoRA or another start than Kaiming's, which PEFT refuses to load.
template <class Where>
void validate(const LoRAConfig& config, const Where& where) {
  if (config.rank <= 0)
    throw ConfigError(message(where, ": rank is ", config.rank, ", expected at least 1"));
  if (config.init == LoRAInit::orthogonal && config.rank % 2 != 0)
    throw ConfigError(message(where, ": rank is ", config.rank,
                              ", expected an even number for an orthogonal start"));
  require_finite(config.alpha_or_default(), where, "alpha");
  require_below_one(config.dropout, where, "dropout");
  if (config.lora_bias && config.use_dora)
    throw ConfigError(message(where, ": lora_bias and use_dora are set, which exclude each other"));
  if (config.lora_bias && config.init != LoRAInit::kaiming)
    throw ConfigError(message(where, ": lora_bias is set and init is ", name_of(config.init),
                              ", expected kaiming, the only start that PEFT has for it"));
}

}  // namespace lora
