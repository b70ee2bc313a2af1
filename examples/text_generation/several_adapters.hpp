#pragma once

#include <filesystem>
#include <lora/adapters/adapter_registry.hpp>
#include <lora/core/finite.hpp>
#include <lora/peft/register_adapter.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "language_model.hpp"

namespace textgen {

/// An adapter's path, and what its update is multiplied by.
struct WeightedPath {
  std::string path;
  double weight = 1;
};

/// Reads "path" or "path:weight"; what exists under the whole name is a path. Throws
/// lora::ConfigError for a weight that is not finite.
[[nodiscard]] inline WeightedPath weighted_path(const std::string& text) {
  const auto at = text.rfind(':');
  std::error_code ignored;
  if (at == std::string::npos || at == 0 || std::filesystem::exists(text, ignored)) return {text};
  double weight = 0;
  const std::string number = text.substr(at + 1);
  if (!CLI::detail::lexical_cast(number, weight) || !lora::is_finite(weight))
    throw lora::ConfigError("--adapters: " + lora::in_quotes(number) + " of " +
                            lora::in_quotes(text) + " is no weight, expected a number");
  return {text.substr(0, at), weight};
}

/// Returns the tuning under which a model offers every linear layer but the head to a registry.
[[nodiscard]] inline lora::peft::PeftConfig every_linear_layer() {
  lora::peft::PeftConfig config{.r = 1};
  config.target_modules = "all-linear";
  config.task_type = "CAUSAL_LM";
  return config;
}

/// Gives a registry the layers of a model that was built with every_linear_layer(), and takes the
/// adapters that these began with away.
template <class Model>
void manage_layers(Model& model, lora::AdapterRegistry<float>& registry) {
  model.for_each_adapted([&](auto& layer) { registry.manage(layer); });
  registry.remove(lora::default_adapter);
}

/// Reads an adapter in either form for the model at common.model, without building that.
template <class Family>
[[nodiscard]] lora::peft::AdapterValues<float> read_values(const Common& common,
                                                           const std::filesystem::path& path) {
  if (!lora::io::is_gguf(path)) return lora::peft::read_adapter<float>(path);
  const typename Family::Source source(common.model, {});
  return lora::models::GgufAdapter(path, gguf_adapter_format(source.config)).values();
}

/// Loads a model with the adapters of common.adapters active at once: layers add
/// sum_i weight_i s_i B_i A_i. Throws lora::FileError, and lora::ConfigError for what a registry of
/// linear layers does not take (embeddings, heads, tensors that are stored whole, aLoRA,
/// layer_replication), what it does not sum (DoRA, lora_bias), and an adapter that comes twice.
template <class Family>
[[nodiscard]] LanguageModel<Family> load_several(const Common& common) {
  LanguageModel<Family> language(common.model, {.tuning = every_linear_layer()});
  lora::AdapterRegistry<float> registry;
  manage_layers(language.model, registry);
  std::vector<lora::AdapterRegistry<float>::Weighted> all;
  for (const std::string& text : common.adapters) {
    const auto [path, weight] = weighted_path(text);
    lora::peft::add_adapter(registry, path, read_values<Family>(common, path));
    all.push_back({path, weight});
  }
  registry.activate(all);
  return language;
}

}  // namespace textgen
