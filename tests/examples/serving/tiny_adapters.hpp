#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <lora/adapters/adapter_registry.hpp>
#include <lora/layers/lora_linear.hpp>
#include <lora/peft/values_writer.hpp>

#include "peft/small_adapter.hpp"

namespace lora::test {

/// Returns an adapter of two layers of write_tiny_llama's model, large enough to change what it
/// writes.
[[nodiscard]] inline peft::AdapterValues<float> tiny_llama_adapter(std::uint64_t seed) {
  peft::AdapterValues<float> adapter;
  adapter.config.r = 2;
  adapter.config.lora_alpha = 4;
  adapter.config.target_modules = std::vector<std::string>{"q_proj", "down_proj"};
  adapter.config.task_type = "CAUSAL_LM";
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    adapter.modules.emplace(layer + "self_attn.q_proj", small_factors(16, 2, 16, 4, ++seed));
    adapter.modules.emplace(layer + "mlp.down_proj", small_factors(16, 2, 24, 4, ++seed));
  }
  return adapter;
}

/// A registry over layers "block.q" (4, 6) and "block.v" (5, 6), which small_adapter fits.
struct SmallRegistry {
  SmallRegistry() {
    q.set_name("block.q");
    v.set_name("block.v");
    registry.manage(q);
    registry.manage(v);
  }

  LoRALinear<float> q{DenseWeight<float>(Matrix<float>::Zero(4, 6))};
  LoRALinear<float> v{DenseWeight<float>(Matrix<float>::Zero(5, 6))};
  AdapterRegistry<float> registry;
};

}  // namespace lora::test
