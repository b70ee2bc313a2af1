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

}  // namespace detail

/// Reads directory/adapter_config.json. Where the tensors that lie beside it are of modules that
/// its target_modules does not select, it becomes the list of those that have tensors: PEFT drops
/// the others without a word. Throws FileError; see parse_peft_config.
[[nodiscard]] inline PeftConfig read_peft_config(const std::filesystem::path& directory) {
  const io::MappedFile file(directory / adapter_config_file);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  PeftConfig config = parse_peft_config(text, file.path().string());
  // Of the defaults of a model's type, and of "all-linear", only the model knows what they are.
  const auto* pattern = std::get_if<std::string>(&config.target_modules);
  if (std::holds_alternative<std::monostate>(config.target_modules) ||
      (pattern != nullptr && is_all_linear(*pattern)) ||
      !io::is_there(directory / adapter_weights_file))
    return config;
  const std::vector<std::string> modules =
      detail::adapted_modules(AdapterWeights(directory, config.adalora));
  const ModuleRules rules(config);
  const auto selected = [&](const std::string& name) { return rules.is_targeted(name); };
  if (std::all_of(modules.begin(), modules.end(), selected)) return config;
  config.target_modules = modules;
  config.exclude_modules = {};
  return config;
}

}  // namespace lora::peft
