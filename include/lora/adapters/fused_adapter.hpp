#pragma once

#include <cstddef>
#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/core/place.hpp"
#include "lora/layers/lora_adapter.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/layers/lora_linear_group.hpp"

namespace lora {

/// Returns the active adapters of a group's parts as one adapter of the fused layer whose weight is
/// that of the parts, one below the other, as q, k and v of GPT-2's c_attn:
///
///     A = [A_1; A_2; ...] (R, in),  B = the blocks s_p B_p on the diagonal (out, R),  scaling 1
///
/// R being the sum of the ranks. It computes what the parts do, and PEFT, which knows no adapters
/// of slices, can load it: as the one adapter of a LoRALinear over the fused weight, saved under
/// that layer's name. Parts without an adapter have rows of zeros. Throws ConfigError if no part
/// has one, for an adapter with use_dora, which is no sum, and with lora_bias.
template <class T, class Frozen>
[[nodiscard]] LoRAAdapter<T> fused_adapter(const LoRALinearGroup<T, Frozen>& group) {
  Index rank = 0, out = 0;
  for (std::size_t p = 0; p < group.size(); ++p) {
    const auto& part = group.part(p);
    out += part.out_features();
    if (!part.has_adapter()) continue;
    if (part.config().use_dora)
      throw ConfigError(message(Place{"fused_adapter", part.name()},
                                ": use_dora is set: its scaled rows are no sum with low rank"));
    if (part.config().lora_bias)
      throw ConfigError(message(Place{"fused_adapter", part.name()},
                                ": lora_bias is set: its b_B is no part of A and B"));
    rank += part.config().rank;
  }
  if (rank == 0) throw ConfigError("fused_adapter: no part has an adapter");
  Matrix<T> a(rank, group.in_features()), b = Matrix<T>::Zero(out, rank);
  Index row = 0, column = 0;
  for (std::size_t p = 0; p < group.size(); ++p) {
    const auto& part = group.part(p);
    if (part.has_adapter()) {
      const auto &own_a = part.lora_A().value, &own_b = part.lora_B().value;
      a.middleRows(column, own_a.rows()) = own_a;
      b.block(row, column, own_b.rows(), own_b.cols()) = static_cast<T>(part.scaling()) * own_b;
      column += own_a.rows();
    }
    row += part.out_features();
  }
  return LoRAAdapter<T>({.rank = rank, .alpha = static_cast<double>(rank)}, std::move(a),
                        std::move(b));
}

}  // namespace lora
