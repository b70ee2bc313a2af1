#pragma once

#include <lora/adapters/adapter_registry.hpp>
#include <string>

#include "../text_generation/language_model.hpp"

namespace serving {

/// A language model and the registry that its linear layers take their adapters from.
template <class Family>
struct BaseModel {
  textgen::LanguageModel<Family> language;
  lora::AdapterRegistry<float> registry = {};

  /// Loads the model, without adapters. Throws lora::FileError and lora::ConfigError.
  explicit BaseModel(const std::string& path) : language(path, {.tuning = every_layer()}) {
    language.model.for_each_adapted([&](auto& layer) { registry.manage(layer); });
    registry.remove(lora::default_adapter);
  }

 private:
  // A model offers the layers that its tuning adapts.
  static lora::peft::PeftConfig every_layer() {
    lora::peft::PeftConfig config{.r = 1};
    config.target_modules = "all-linear";
    config.task_type = "CAUSAL_LM";
    return config;
  }
};

}  // namespace serving
