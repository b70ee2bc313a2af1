#pragma once

#include <lora/peft/adapter_values.hpp>

#include "support/random_matrix.hpp"

namespace lora::test {

/// Returns random factors of a linear module.
[[nodiscard]] inline peft::LoRAFactors<float> small_factors(Index out, Index rank, Index in,
                                                            double alpha, std::uint64_t seed) {
  return {{.rank = rank, .alpha = alpha},
          {random_matrix<float>(rank, in, seed), {rank, in}},
          {random_matrix<float>(out, rank, seed + 100), {out, rank}}};
}

/// Returns an adapter of "block.q" (4, 6) and "block.v" (5, 6) with a list as its targets.
[[nodiscard]] inline peft::AdapterValues<float> small_adapter(Index rank, double alpha,
                                                              std::uint64_t seed) {
  peft::AdapterValues<float> adapter;
  adapter.config.r = rank;
  adapter.config.lora_alpha = alpha;
  adapter.config.target_modules = std::vector<std::string>{"q", "v"};
  adapter.modules.emplace("block.q", small_factors(4, rank, 6, alpha, seed));
  adapter.modules.emplace("block.v", small_factors(5, rank, 6, alpha, seed + 1));
  return adapter;
}

}  // namespace lora::test
