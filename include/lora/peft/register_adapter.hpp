#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "lora/adapters/adapter_registry.hpp"
#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/layers/lora_adapter.hpp"
#include "lora/layers/lora_embedding_adapter.hpp"
#include "lora/peft/adapter_values.hpp"

namespace lora::peft {

/// Returns `values` as a registry takes them. Throws ConfigError for an adapter with tensors
/// besides its factors (biases, modules stored whole), which all adapters of the model would have
/// to share, and for one of replicated layers or of aLoRA.
template <class T>
[[nodiscard]] typename AdapterRegistry<T>::Modules registry_modules(AdapterValues<T> values) {
  if (!values.others.empty())
    throw ConfigError(message("registry_modules: the adapter has tensors beside its factors, as ",
                              in_quotes(values.others.begin()->first),
                              ": adapters that share a model cannot have them"));
  if (!values.config.alora_invocation_tokens.empty())
    throw ConfigError(
        "registry_modules: the adapter has alora_invocation_tokens, which adapters that share a "
        "model cannot have");
  if (!values.config.layer_replication.empty())
    throw ConfigError(
        "registry_modules: the adapter has layer_replication, which adapters that share a model "
        "cannot have");
  typename AdapterRegistry<T>::Modules modules;
  for (auto& module : values.modules) {
    // No structured binding: clang 14's lambdas cannot capture one.
    const std::string& name = module.first;
    auto& factors = module.second;
    const auto add = [&]<class Adapter>(Adapter adapter) {
      if constexpr (requires { adapter.set_b_bias(Matrix<T>()); })
        if (factors.b_bias) adapter.set_b_bias(std::move(factors.b_bias->value));
      if (factors.magnitude) {
        const Matrix<T>& m = factors.magnitude->value;
        adapter.set_magnitude(m.reshaped(1, m.size()));
      }
      modules.emplace(name, std::move(adapter));
    };
    // That of a convolution in groups has B's columns for one group.
    const Index rank = factors.config.rank, columns = factors.b.value.cols();
    const bool grouped = factors.b.shape.size() > 2 && columns > 0 && rank % columns == 0;
    if (factors.is_embedding)
      add(LoRAEmbeddingAdapter<T>(factors.config, std::move(factors.a.value),
                                  std::move(factors.b.value)));
    else
      add(LoRAAdapter<T>(factors.config, std::move(factors.a.value), std::move(factors.b.value), 0,
                         grouped ? rank / columns : 1));
  }
  return modules;
}

/// Adds an adapter that is in memory, all of it or nothing; see AdapterRegistry::add. Throws what
/// that and registry_modules throw.
template <class T>
void add_adapter(AdapterRegistry<T>& registry, const std::string& name, AdapterValues<T> values) {
  registry.add(name, registry_modules(std::move(values)));
}

/// Adds the adapter that PEFT or save_adapter wrote to `directory`, which is read once. Throws what
/// read_adapter throws, and as above.
template <class T>
void add_adapter(AdapterRegistry<T>& registry, const std::string& name,
                 const std::filesystem::path& directory) {
  add_adapter(registry, name, read_adapter<T>(directory));
}

/// Puts the adapter of `directory` in the place of the one called `name`; see
/// AdapterRegistry::replace. Throws as above.
template <class T>
void replace_adapter(AdapterRegistry<T>& registry, const std::string& name,
                     const std::filesystem::path& directory) {
  registry.replace(name, registry_modules(read_adapter<T>(directory)));
}

}  // namespace lora::peft
