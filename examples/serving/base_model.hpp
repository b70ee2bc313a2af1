#pragma once

#include <lora/adapters/adapter_registry.hpp>
#include <string>

#include "../text_generation/several_adapters.hpp"

namespace serving {

/// A language model and the registry that its linear layers take their adapters from.
template <class Family>
struct BaseModel {
  textgen::LanguageModel<Family> language;
  lora::AdapterRegistry<float> registry = {};

  /// Loads the model, without adapters. Throws lora::FileError and lora::ConfigError.
  explicit BaseModel(const std::string& path)
      : language(path, {.tuning = textgen::every_linear_layer()}) {
    textgen::manage_layers(language.model, registry);
  }
};

}  // namespace serving
