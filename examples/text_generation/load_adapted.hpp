#pragma once

#include <filesystem>

#include "language_model.hpp"
#include "several_adapters.hpp"

namespace textgen {

/// Loads a model to be used, with its adapter or adapters, if any are named. Throws
/// lora::FileError and lora::ConfigError.
template <class Family>
[[nodiscard]] LanguageModel<Family> load_adapted(const Common& common) {
  if (!common.adapters.empty()) return load_several<Family>(common);
  const std::filesystem::path adapter = common.adapter;
  if (adapter.empty()) return {common.model, {}};
  if (lora::io::is_gguf(adapter)) {
    const typename Family::Source source(common.model, {});
    const lora::models::GgufAdapter file(adapter, gguf_adapter_format(source.config));
    LanguageModel<Family> language(common.model, {.tuning = file.config()});
    file.load_into(language.model);
    return language;
  }
  LanguageModel<Family> language(common.model, {.tuning = lora::peft::read_peft_config(adapter)});
  language.model.load_adapter(adapter);
  return language;
}

}  // namespace textgen
