#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/io/name_pattern.hpp"
#include "lora/io/peft_config.hpp"

namespace lora::io {

/// Says what a module of a model is, as far as adapters care.
enum class ModuleKind {
  linear,       ///< nn.Linear, and GPT-2's Conv1D
  other_layer,  ///< another that adapters are made for: an embedding, a convolution
  no_layer,     ///< one that cannot be adapted: a norm, an activation, a block of others
};

/// Names a module by its path in the model: `encoder.layer.0.attention.self.query`.
struct ModuleName {
  std::string name;
  ModuleKind kind = ModuleKind::linear;
};

/// Lists what select_modules chose, in the model's order.
struct ModuleSelection {
  std::vector<std::string> adapted;  ///< get A and B
  std::vector<std::string> saved;    ///< are trained and stored whole
};

namespace detail {

[[nodiscard]] inline bool is_or_ends_in(std::string_view name, std::string_view end) {
  return name == end || (name.size() > end.size() && name.ends_with(end) &&
                         name[name.size() - end.size() - 1] == '.');
}

// PEFT's rules for a list: the name itself, or a dot and the entry at its end.
[[nodiscard]] inline bool matches(const ModuleNames& names, std::string_view name) {
  if (const auto* pattern = std::get_if<std::string>(&names))
    return !pattern->empty() && NamePattern(*pattern).matches(name);
  const auto* list = std::get_if<std::vector<std::string>>(&names);
  return list != nullptr && std::any_of(list->begin(), list->end(), [&](const std::string& entry) {
           return is_or_ends_in(name, entry);
         });
}

// The module and all below it: re.match(r"(^|.*\.)ENTRY($|\..*)", name), which need not reach the
// end of the name, should ENTRY hold a | outside of groups.
[[nodiscard]] inline bool is_within(const std::string& entry, std::string_view name) {
  return NamePattern(R"((?:(^|.*\.))" + entry + R"(($|\..*))[\s\S]*)").matches(name);
}

/// Returns the number that stands between `begin` and the next dot, or nothing.
[[nodiscard]] inline std::optional<Index> index_at(std::string_view name, std::size_t begin) {
  const std::size_t end = name.find('.', begin);
  if (end == std::string_view::npos || end == begin) return std::nullopt;
  Index index = 0;
  const auto [last, error] = std::from_chars(name.data() + begin, name.data() + end, index);
  const bool is_number = error == std::errc() && last == name.data() + end && name[begin] != '-';
  return is_number ? std::optional(index) : std::nullopt;
}

/// Returns the number of the layer that the module is in: what stands behind the first list whose
/// name the pattern `list` matches, or for an empty one the first number from the third part of the
/// name on; another part follows it. Where a list's name could end in several places, the last is
/// taken, as greedy patterns do.
[[nodiscard]] inline std::optional<Index> layer_index(std::string_view name,
                                                      const std::string& list) {
  std::optional<Index> index;
  if (list.empty()) {
    std::size_t dot = name.find('.');
    while (!index && dot != std::string_view::npos && (dot = name.find('.', dot + 1)) < name.size())
      index = index_at(name, dot + 1);
    return index;
  }
  const NamePattern pattern(list);
  for (std::size_t begin = 0; !index && begin < name.size(); ++begin) {
    if (begin > 0 && name[begin - 1] != '.') continue;
    for (const std::size_t end : pattern.ends_from(name, begin))
      if (end < name.size() && name[end] == '.')
        if (const auto number = index_at(name, end + 1)) index = number;
  }
  return index;
}

[[nodiscard]] inline bool is_in_chosen_layer(const PeftConfig& config, std::string_view name) {
  if (config.layers_to_transform.empty()) return true;
  std::optional<Index> index;
  if (config.layers_pattern.empty()) index = layer_index(name, "");
  for (const std::string& list : config.layers_pattern)
    if (!index) index = layer_index(name, list);
  const auto& layers = config.layers_to_transform;
  return index && std::find(layers.begin(), layers.end(), *index) != layers.end();
}

}  // namespace detail

/// Tells whether the config takes the module called `name` out, whatever target_modules says:
/// exclude_modules does, or the module is one of modules_to_save or inside one. Throws ConfigError
/// for a pattern with an unknown construct.
[[nodiscard]] inline bool is_excluded(const PeftConfig& config, std::string_view name) {
  return detail::matches(config.exclude_modules, name) ||
         std::any_of(config.modules_to_save.begin(), config.modules_to_save.end(),
                     [&](const std::string& entry) { return detail::is_within(entry, name); });
}

/// Tells whether the config adapts the module called `name` (PEFT's check_target_module_exists): it
/// is not excluded, and the whole of a pattern matches it, or an entry of a list is the name or
/// stands at its end behind a dot. layers_to_transform narrows the latter alone. Throws ConfigError
/// for a pattern with an unknown construct.
[[nodiscard]] inline bool is_targeted(const PeftConfig& config, std::string_view name) {
  if (is_excluded(config, name) || !detail::matches(config.target_modules, name)) return false;
  const auto* list = std::get_if<std::vector<std::string>>(&config.target_modules);
  return list == nullptr || std::find(list->begin(), list->end(), name) != list->end() ||
         detail::is_in_chosen_layer(config, name);
}

/// Returns the names of the linear modules but `output_layer`: what PEFT makes of "all-linear".
[[nodiscard]] inline std::vector<std::string> all_linear(std::span<const ModuleName> modules,
                                                         std::string_view output_layer) {
  std::vector<std::string> names;
  for (const ModuleName& module : modules)
    if (module.kind == ModuleKind::linear && module.name != output_layer)
      names.push_back(module.name);
  return names;
}

/// Returns what PEFT 0.21 adapts and what it stores whole in a model of these modules, given in its
/// order, blocks included. "all-linear" is replaced in `config` by the linear modules' names;
/// `output_layer` is what that leaves out in a transformers model: the output embedding, or for
/// SEQ_CLS a head called `score` or `classifier`.
///
/// The heads that PEFT adds for a task are added to config.modules_to_save: `classifier` and
/// `score` for SEQ_CLS and TOKEN_CLS, `qa_outputs` for QUESTION_ANS; unlike there, they are never
/// adapted. Stored whole is every module whose name ends in an entry as plain text, as in PEFT.
///
/// Throws ConfigError if nothing is adapted, if a module that is adapted has no kind of adapter,
/// and if one is both adapted and (inside of what is) stored whole.
[[nodiscard]] inline ModuleSelection select_modules(PeftConfig& config,
                                                    std::span<const ModuleName> modules,
                                                    std::string_view output_layer = {}) {
  PeftConfig resolved = config;
  if (const auto* word = std::get_if<std::string>(&config.target_modules)) {
    std::string lower = *word;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower == "all-linear") resolved.target_modules = all_linear(modules, output_layer);
  }
  const auto add_head = [&](const char* head) {
    auto& saved = resolved.modules_to_save;
    if (std::find(saved.begin(), saved.end(), head) == saved.end()) saved.emplace_back(head);
  };
  if (config.task_type == "SEQ_CLS" || config.task_type == "TOKEN_CLS") {
    add_head("classifier");
    add_head("score");
  } else if (config.task_type == "QUESTION_ANS") {
    add_head("qa_outputs");
  }

  ModuleSelection selection;
  for (const ModuleName& module : modules) {
    const std::string& name = module.name;
    if (is_targeted(resolved, name)) {
      if (module.kind == ModuleKind::no_layer)
        throw ConfigError("target_modules selects \"" + name + "\", which cannot be adapted");
      selection.adapted.push_back(name);
    }
    const auto& saved = resolved.modules_to_save;
    if (std::any_of(saved.begin(), saved.end(),
                    [&](const std::string& entry) { return name.ends_with(entry); }))
      selection.saved.push_back(name);
  }
  if (selection.adapted.empty())
    throw ConfigError("target_modules selects no module of this model");
  for (const std::string& whole : selection.saved)
    for (const std::string& name : selection.adapted)
      if (name == whole || name.starts_with(whole + "."))
        throw ConfigError(message("modules_to_save stores \"", whole, "\" whole, but \"", name,
                                  "\" is to be adapted"));
  config = std::move(resolved);
  return selection;
}

}  // namespace lora::io
