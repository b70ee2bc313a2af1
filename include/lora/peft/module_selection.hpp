#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/peft/module_rules.hpp"
#include "lora/peft/peft_config.hpp"
#include "lora/peft/target_parameters.hpp"

namespace lora::peft {

/// What a module of a model is, as far as adapters care.
enum class ModuleKind {
  linear,       ///< nn.Linear
  conv1d,       ///< GPT-2's Conv1D: a linear layer whose weight is (in, out)
  conv2d,       ///< nn.Conv2d
  other_layer,  ///< another that adapters are made for: an embedding
  no_layer,     ///< one that cannot be adapted: a norm, an activation, a block of others
};

/// Tells whether a module multiplies by a weight (out, in), however that is stored.
[[nodiscard]] constexpr bool is_linear(ModuleKind kind) {
  return kind == ModuleKind::linear || kind == ModuleKind::conv1d;
}

/// A module's path in the model and its kind: `encoder.layer.0.attention.self.query`.
struct ModuleName {
  std::string name;
  ModuleKind kind = ModuleKind::linear;
};

/// What select_modules chose, in the model's order.
struct ModuleSelection {
  std::vector<std::string> adapted;  ///< get A and B
  std::vector<std::string> saved;    ///< are trained and stored whole
};

/// Tells whether the config takes the module called `name` out; see ModuleRules, which is for many
/// names. Throws ConfigError for a pattern with an unknown construct.
[[nodiscard]] inline bool is_excluded(const PeftConfig& config, std::string_view name) {
  return ModuleRules(config).is_excluded(name);
}

/// Tells whether the config adapts the module called `name`; see ModuleRules, which is for many
/// names. Throws ConfigError for a pattern with an unknown construct.
[[nodiscard]] inline bool is_targeted(const PeftConfig& config, std::string_view name) {
  return ModuleRules(config).is_targeted(name);
}

/// Returns the names of the linear modules but `output_layer`: what PEFT makes of "all-linear".
[[nodiscard]] inline std::vector<std::string> all_linear(std::span<const ModuleName> modules,
                                                         std::string_view output_layer) {
  std::vector<std::string> names;
  for (const ModuleName& module : modules)
    if (is_linear(module.kind) && module.name != output_layer) names.push_back(module.name);
  return names;
}

namespace detail {

/// Throws ConfigError, naming the entry, unless each of config.target_parameters is the weight of
/// linear modules, and of nothing else, that target_modules leaves alone.
inline void require_linear_weights(const PeftConfig& config, const ModuleRules& rules,
                                   std::span<const ModuleName> modules) {
  for (const std::string& entry : config.target_parameters) {
    const auto fail = [&](const auto&... what) {
      throw ConfigError(message("target_parameters has ", in_quotes(entry), ", which ", what...));
    };
    bool found = false;
    for (const ModuleName& module : modules) {
      if (!is_targeted_parameter({entry}, module.name + ".weight")) continue;
      found = true;
      if (module.kind != ModuleKind::linear)
        fail("would be the weight of ", in_quotes(module.name), ", expected of linear layers alone",
             module.kind == ModuleKind::conv1d ? ": a Conv1D's is (in, out)" : "");
      if (rules.is_targeted_module(module.name))
        fail("is the weight of ", in_quotes(module.name),
             ", and target_modules has that too, expected one or the other: null has the default "
             "modules, an empty list none");
    }
    if (!found) fail("is the weight of no module of this model");
  }
}

}  // namespace detail

/// Returns what PEFT 0.21 adapts and what it stores whole in a model of these modules, given in its
/// order, blocks included. "all-linear" is replaced in `config` by the linear modules' names;
/// `output_layer` is what that leaves out in a transformers model: the output embedding, or for
/// SEQ_CLS a head called `score` or `classifier`.
///
/// The heads that PEFT adds for a task are added to config.modules_to_save: `classifier` and
/// `score` for SEQ_CLS and TOKEN_CLS, `qa_outputs` for QUESTION_ANS; unlike there, they are never
/// adapted. Stored whole is every module whose name ends in an entry as plain text, as in PEFT.
///
/// fan_in_fan_out becomes what the last module that is adapted needs, whatever it was, as in PEFT.
///
/// Throws ConfigError if nothing is adapted, if a module that is adapted has no kind of adapter,
/// if one is both adapted and (inside of what is) stored whole, and for target_parameters that are
/// not weights of linear modules, that PEFT would leave out without a word, or that
/// check_target_parameters refuses.
[[nodiscard]] inline ModuleSelection select_modules(PeftConfig& config,
                                                    std::span<const ModuleName> modules,
                                                    std::string_view output_layer = {}) {
  PeftConfig resolved = config;
  const auto* word = std::get_if<std::string>(&config.target_modules);
  if (word != nullptr && is_all_linear(*word))
    resolved.target_modules = all_linear(modules, output_layer);
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

  const ModuleRules rules(resolved);
  detail::require_linear_weights(resolved, rules, modules);
  ModuleSelection selection;
  for (const ModuleName& module : modules) {
    const std::string& name = module.name;
    if (rules.is_targeted(name)) {
      if (module.kind == ModuleKind::no_layer)
        throw ConfigError("target_modules selects " + in_quotes(name) +
                          ", which cannot be adapted");
      selection.adapted.push_back(name);
      if (module.kind == ModuleKind::conv1d)
        resolved.other["fan_in_fan_out"] = "true";
      else if (module.kind == ModuleKind::linear && resolved.other.contains("fan_in_fan_out"))
        resolved.other["fan_in_fan_out"] = "false";
    }
    const auto& saved = resolved.modules_to_save;
    if (std::any_of(saved.begin(), saved.end(),
                    [&](const std::string& entry) { return name.ends_with(entry); }))
      selection.saved.push_back(name);
  }
  check_target_parameters(resolved);  // with fan_in_fan_out as the modules have it
  if (selection.adapted.empty())
    throw ConfigError("target_modules selects no module of this model");
  for (const std::string& whole : selection.saved)
    for (const std::string& name : selection.adapted)
      if (name.starts_with(whole) && (name.size() == whole.size() || name[whole.size()] == '.'))
        throw ConfigError(message("modules_to_save stores ", in_quotes(whole), " whole, but ",
                                  in_quotes(name), " is to be adapted"));
  config = std::move(resolved);
  return selection;
}

}  // namespace lora::peft
