#pragma once

#include <cmath>
#include <optional>

#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"

namespace lora {

/// Settings of an Attention.
struct AttentionConfig {
  Index heads = 1;                     ///< H, of the queries
  Index head_features = 1;             ///< D, columns of one head
  std::optional<Index> kv_heads = {};  ///< G, of keys and values: a divisor of H; H if left out
  bool causal = false;                 ///< a token sees itself and what stands before it; with
                                       ///< keys apart from queries, the last of each are one token
  std::optional<Index> window = {};    ///< of a causal attention: a token sees so many tokens,
                                       ///< itself the last of them; all if left out
  double dropout = 0;                  ///< in [0, 1): of the probabilities, in training
  std::optional<double> scaling = {};  ///< of q k^T; 1 / sqrt(D) if left out

  /// Returns G.
  [[nodiscard]] Index key_heads() const { return kv_heads.value_or(heads); }

  /// Returns the factor of q k^T.
  [[nodiscard]] double scale() const {
    return scaling.value_or(1 / std::sqrt(static_cast<double>(head_features)));
  }
};

/// Throws ConfigError, naming `where`, for sizes below 1, heads that kv_heads does not divide, a
/// window that is below 1 or not causal, dropout outside [0, 1) and a scaling that is not finite.
inline void validate(const AttentionConfig& config, const char* where) {
  const Index kv_heads = config.key_heads();
  if (config.heads < 1 || config.head_features < 1 || kv_heads < 1 || config.heads % kv_heads != 0)
    throw ConfigError(message(where, ": heads = ", config.heads, ", kv_heads = ", kv_heads,
                              ", head_features = ", config.head_features,
                              ", expected at least 1 each and heads a multiple of kv_heads"));
  if (config.window && (*config.window < 1 || !config.causal))
    throw ConfigError(message(
        where, ": window is ", *config.window,
        config.causal ? ", expected at least 1" : ", expected none where attention is not causal"));
  require_below_one(config.dropout, where, "dropout");
  require_finite(config.scale(), where, "scaling");
}

}  // namespace lora
