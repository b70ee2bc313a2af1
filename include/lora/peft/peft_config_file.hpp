#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lora/io/mapped_file.hpp"
#include "lora/peft/adapter_weights.hpp"
#include "lora/peft/module_rules.hpp"
#include "lora/peft/peft_config_parser.hpp"

namespace lora::peft {
namespace detail {

/// Lists the modules that have low-rank factors in the file, in its order: one within a module that
/// PEFT wraps as a whole is that one.
[[nodiscard]] inline std::vector<std::string> adapted_modules(const AdapterWeights& weights) {
  std::vector<std::string> modules;
  for (const std::string& name : weights.names())
    for (const std::string_view suffix : {".lora_A.weight", ".lora_embedding_A"})
      if (name.ends_with(suffix)) {
        const std::string_view whole(name);
        std::string module(wrapped_module(whole.substr(0, name.size() - suffix.size())));
        if (std::find(modules.begin(), modules.end(), module) == modules.end())
          modules.push_back(std::move(module));
      }
  return modules;
}

/// Makes target_modules the list of the modules that have tensors, if it does not select them all.
inline void select_what_is_there(PeftConfig& config, const AdapterWeights& weights) {
  std::vector<std::string> modules = adapted_modules(weights);
  const ModuleRules rules(config);
  const auto selected = [&](const std::string& name) { return rules.is_targeted(name); };
  if (std::all_of(modules.begin(), modules.end(), selected)) return;
  std::erase_if(modules, [&](const std::string& name) { return config.targets_weight_of(name); });
  config.target_modules = modules;
  config.exclude_modules = {};
}

/// Tells whether only the model knows which modules target_modules selects: null, whose meaning is
/// its type's, and "all-linear".
[[nodiscard]] inline bool targets_need_model(const ModuleNames& target_modules) {
  const auto* word = std::get_if<std::string>(&target_modules);
  return std::holds_alternative<std::monostate>(target_modules) ||
         (word != nullptr && is_all_linear(*word));
}

/// Returns the bytes of a file. Throws FileError.
[[nodiscard]] inline std::string text_of_file(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

/// Returns open(the text of the file at `path`), where open reads files beside it: once the text is
/// the same after that as before, so that they belong together though another program saves there
/// meanwhile. Throws what open throws, and FileError if the file changes time and again.
template <class Open>
[[nodiscard]] auto open_beside(const std::filesystem::path& path, const Open& open) {
  const auto is_still = [&](const std::string& text) {
    try {
      return text_of_file(path) == text;
    } catch (const FileError&) {
      return false;  // it is just being replaced
    }
  };
  constexpr int attempts = 8;
  for (int attempt = 1; attempt < attempts; ++attempt) {
    const std::string text = text_of_file(path);
    try {
      auto opened = open(text);
      if (is_still(text)) return opened;
    } catch (const FileError&) {
      if (is_still(text)) throw;
    }
  }
  throw FileError(message(path.string(), ": changed each of ", attempts - 1,
                          " times while the files beside it were opened: another program saves "
                          "here"));
}

/// An adapter's settings and tensors, of one save.
struct OpenAdapter {
  PeftConfig config;
  AdapterWeights weights;
};

/// Opens both files of an adapter, and does with the settings what read_peft_config does. Throws
/// what that and AdapterWeights throw.
[[nodiscard]] inline OpenAdapter open_adapter(const std::filesystem::path& directory) {
  const auto path = directory / adapter_config_file;
  return open_beside(path, [&](const std::string& text) {
    PeftConfig config = parse_peft_config(text, path.string());
    AdapterWeights weights(directory, config.adalora);
    if (!targets_need_model(config.target_modules)) select_what_is_there(config, weights);
    return OpenAdapter{std::move(config), std::move(weights)};
  });
}

}  // namespace detail

/// Reads directory/adapter_config.json. Where the tensors that lie beside it are of modules that
/// its target_modules does not select, it becomes the list of those that have tensors: PEFT drops
/// the others without a word. Throws FileError (see parse_peft_config), also where another program
/// saves there time and again meanwhile.
[[nodiscard]] inline PeftConfig read_peft_config(const std::filesystem::path& directory) {
  const auto path = directory / adapter_config_file;
  return detail::open_beside(path, [&](const std::string& text) {
    PeftConfig config = parse_peft_config(text, path.string());
    if (!detail::targets_need_model(config.target_modules) &&
        io::is_there(directory / adapter_weights_file))
      detail::select_what_is_there(config, AdapterWeights(directory, config.adalora));
    return config;
  });
}

}  // namespace lora::peft
