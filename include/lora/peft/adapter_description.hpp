#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lora/core/parameter_list.hpp"
#include "lora/core/printable.hpp"
#include "lora/layers/adapted_layer_ref.hpp"
#include "lora/layers/trainable_tokens.hpp"
#include "lora/peft/module_selection.hpp"
#include "lora/peft/name_pattern.hpp"
#include "lora/peft/peft_config.hpp"

namespace lora::peft {
namespace detail {

/// Returns a pattern that matches these names alone. A list would match whatever ends in one of
/// them too: "fc" the module "block.fc".
[[nodiscard]] inline std::string any_of_pattern(const std::vector<std::string>& names) {
  std::string pattern;
  for (const std::string& name : names)
    pattern += (pattern.empty() ? "" : "|") + literal_pattern(name);
  return pattern;
}

/// Returns the patterns in the order in which JSON keeps them: that of their text.
template <class Value>
[[nodiscard]] PatternMap<Value> in_file_order(const PatternMap<Value>& patterns) {
  auto entries = patterns.entries();
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.pattern < b.pattern; });
  PatternMap<Value> sorted;
  for (auto& [pattern, value] : entries) sorted.add(std::move(pattern), value);
  return sorted;
}

/// Returns the value that most of them have, the first of those if there are several.
template <class Value>
[[nodiscard]] Value most_common(const std::vector<Value>& values) {
  return *std::max_element(values.begin(), values.end(), [&](const Value& a, const Value& b) {
    return std::count(values.begin(), values.end(), a) <
           std::count(values.begin(), values.end(), b);
  });
}

/// Maps each name whose value is another than `usual` to it, as the config's patterns know it.
template <class Value>
[[nodiscard]] PatternMap<Value> exceptions(const PeftConfig& config,
                                           const std::vector<std::string>& names,
                                           const std::vector<Value>& values, const Value& usual) {
  PatternMap<Value> patterns;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (values[i] != usual)
      patterns.add("^" + literal_pattern(config.pattern_name(names[i])), values[i]);
  return in_file_order(patterns);
}

/// Chooses init_lora_weights: what the config says if that is true of the layers, otherwise the
/// first layer's start. Throws ConfigError for layers over changed weights that PEFT would not make
/// again from the base.
template <class T>
void set_start(PeftConfig& config, std::span<const AdaptedLayerView<T>> layers, bool keep) {
  const LoRAInit first = layers.front().config().init;
  for (const AdaptedLayerView<T>& layer : layers) {
    const LoRAInit init = layer.config().init;
    if (changes_base(init) && init != LoRAInit::pissa && init != LoRAInit::olora)
      throw ConfigError(message("save_adapter: ", in_quotes(layer.name()), " began with ",
                                name_of(init),
                                ", and nobody can make its changed weight again from the base: "
                                "save a PlainAdapter of it, which is for the base itself"));
    if (init != first && (changes_base(init) || changes_base(first)))
      throw ConfigError(message("save_adapter: ", in_quotes(layer.name()), " began with ",
                                name_of(init), " and ", in_quotes(layers.front().name()), " with ",
                                name_of(first), ", for which a file has one value"));
  }
  if (changes_base(first) || (!keep && first != LoRAInit::kaiming))
    config.init_lora_weights = std::string(name_of(first));
  else if (changes_base(start_of(config.init_lora_weights)))
    config.init_lora_weights = true;
}

/// Tells whether PEFT adapts `names` by this config and, of `modules`, nothing else.
[[nodiscard]] inline bool selects_exactly(const PeftConfig& config,
                                          const std::vector<std::string>& names,
                                          const std::vector<ModuleName>& modules) {
  const std::set<std::string_view> adapted(names.begin(), names.end());
  const ModuleRules rules(config);
  return std::all_of(names.begin(), names.end(),
                     [&](const std::string& name) { return rules.is_targeted(name); }) &&
         std::none_of(modules.begin(), modules.end(), [&](const ModuleName& module) {
           return !adapted.contains(module.name) && rules.is_targeted(module.name);
         });
}

/// Takes target_parameters out of a config that they do not describe any more: a linear layer's
/// adapter is the same under target_modules.
inline void drop_untrue_parameters(PeftConfig& config, const std::vector<std::string>& names,
                                   const std::vector<ModuleName>& modules) {
  if (config.target_parameters.empty()) return;
  const bool excluded = config.lora_dropout != 0 || config.use_dora || config.lora_bias;
  if (excluded || !selects_exactly(config, names, modules)) config.target_parameters = {};
}

/// Chooses target_modules so that PEFT adapts `names` and, of `modules`, nothing else: as the
/// config has it, as a list where all modules are known, or as a pattern.
inline void set_targets(PeftConfig& config, const std::vector<std::string>& names,
                        const std::vector<ModuleName>& modules) {
  const auto is_exact = [&] { return selects_exactly(config, names, modules); };
  if (is_exact()) return;
  config.exclude_modules = {};
  config.target_modules = names;
  if (!modules.empty() && is_exact()) return;
  std::string pattern = any_of_pattern(names);
  if (pattern.size() > NamePattern::most_bytes) return;  // of more layers than anybody has
  config.target_modules = std::move(pattern);
  config.layers_to_transform = {};  // which go with a list only
  config.layers_pattern = {};
}

/// Tells whether PEFT stores the module whole for these modules_to_save: its name, or that of a
/// module around it, ends in an entry. Entries match as plain text: "norm" matches "k_norm" too.
[[nodiscard]] inline bool is_within_saved(const std::vector<std::string>& entries,
                                          std::string_view module) {
  for (std::size_t end = 0; end < module.size();) {
    end = std::min(module.find('.', end + 1), module.size());
    const std::string_view around = module.substr(0, end);
    if (std::any_of(entries.begin(), entries.end(),
                    [&](const std::string& entry) { return around.ends_with(entry); }))
      return true;
  }
  return false;
}

/// Throws ConfigError where PEFT would store more whole than `parameters`, or an adapted layer: it
/// takes every module whose name ends in an entry of modules_to_save.
template <class T>
void check_stored_whole(const PeftConfig& config, const std::vector<std::string>& names,
                        const ParameterList<T>& parameters,
                        const std::vector<ModuleName>& modules) {
  const ModuleRules rules(config);
  const auto entry_of = [&](const std::string& name) {
    return std::find_if(config.modules_to_save.begin(), config.modules_to_save.end(),
                        [&](const std::string& entry) { return name.ends_with(entry); });
  };
  for (const std::string& name : names)
    if (!rules.is_targeted(name) || entry_of(name) != config.modules_to_save.end())
      throw ConfigError("save_adapter: " + in_quotes(name) +
                        " is adapted, but PEFT would take it for one of modules_to_save");
  for (const ModuleName& module : modules) {
    const auto entry = entry_of(module.name);
    const auto is_stored = [&](const Parameter<T>* parameter) {
      return parameter->name.starts_with(module.name + ".");
    };
    if (entry != config.modules_to_save.end() &&
        std::none_of(parameters.begin(), parameters.end(), is_stored))
      throw ConfigError("save_adapter: " + in_quotes(*entry) +
                        " is stored whole, and PEFT would take " + in_quotes(module.name) +
                        ", which is not, for the same: it compares ends of names");
  }
}

/// Tells whether the parameter is of rows that train, which are stored beside the adapters.
[[nodiscard]] inline bool is_trainable_tokens(std::string_view name) {
  return name.ends_with(trainable_tokens_suffix);
}

/// Throws ConfigError unless trainable_token_indices says of each parameter of such rows which they
/// are, and has no others.
template <class T>
void check_trainable_tokens(const PeftConfig& config, const ParameterList<T>& parameters) {
  std::set<std::string_view> described;
  for (const Parameter<T>* parameter : parameters) {
    if (!is_trainable_tokens(parameter->name)) continue;
    const std::string_view module =
        std::string_view(parameter->name)
            .substr(0, parameter->name.size() - trainable_tokens_suffix.size());
    const auto entry = config.trainable_tokens_of(module);
    if (entry == config.trainable_token_indices.end())
      throw ConfigError(message("save_adapter: ", in_quotes(parameter->name),
                                " is to be saved, and the config's trainable_token_indices does "
                                "not say which rows it has"));
    if (static_cast<Index>(entry->second.size()) != parameter->value.rows())
      throw ConfigError(message("save_adapter: ", in_quotes(parameter->name), " has ",
                                parameter->value.rows(), " rows, and trainable_token_indices ",
                                entry->second.size()));
    described.insert(entry->first);
  }
  // A tied head has the rows of the embeddings, which stand in the file once, as in PEFT.
  const auto is_shared = [&](const std::vector<int>& tokens) {
    return std::any_of(described.begin(), described.end(), [&](std::string_view module) {
      return config.trainable_token_indices.at(std::string(module)) == tokens;
    });
  };
  for (const auto& [module, tokens] : config.trainable_token_indices)
    if (!described.contains(module) && !is_shared(tokens))
      throw ConfigError(message("save_adapter: trainable_token_indices has rows",
                                module.empty() ? std::string() : " of " + in_quotes(module),
                                ", and no parameter is of them"));
}

}  // namespace detail

/// Returns the adapter_config.json of these layers, and of parameters stored whole beside them.
/// What `start` says is kept where it is true of the layers; otherwise their ranks and alphas
/// become the most common one and a pattern for each exception, and target_modules a pattern of
/// their names. `modules` are all of the model's, where they are known: then target_modules may be
/// a list, and nothing else may be taken for what was saved. bias is "lora_only" if a layer trains
/// its bias.
///
/// Throws ConfigError if there is no layer, for a layer or parameter without a name and two of one
/// name, if the layers differ in use_rslora, use_dora, lora_bias or dropout, which a file has once,
/// for weights changed by a start that PEFT does not repeat (fast PiSSA, CorDA, LoRA-GA: save a
/// PlainAdapter), if modules_to_save cannot say what is stored whole, and
/// unless the trainable_token_indices of `start` are those of the parameters that hold such rows.
template <class T>
[[nodiscard]] PeftConfig describe_adapters(
    std::span<const AdaptedLayerView<T>> layers,
    const ParameterList<std::type_identity_t<T>>& parameters = {},
    const std::optional<PeftConfig>& start = {}, const std::vector<ModuleName>& modules = {}) {
  if (layers.empty()) throw ConfigError("save_adapter: there is no layer to save");
  require_distinct_layers(layers, "save_adapter");
  require_distinct(parameters, "save_adapter");
  std::vector<std::string> names;
  std::vector<Index> ranks;
  std::vector<double> alphas;
  const LoRAConfig& first = layers.front().config();
  PeftConfig config = start.value_or(PeftConfig{});
  detail::set_start(config, layers, start.has_value());
  config.use_rslora = first.use_rslora;
  config.use_dora = first.use_dora;
  config.lora_bias = first.lora_bias;
  config.lora_dropout = first.dropout;
  if (config.bias != "all") config.bias = "none";
  for (const AdaptedLayerView<T>& layer : layers) {
    const LoRAConfig& settings = layer.config();
    const std::string& name = layer.name();
    if (name.empty()) throw ConfigError("save_adapter: a layer has no name: see set_name");
    if (settings.use_rslora != first.use_rslora || settings.use_dora != first.use_dora ||
        settings.dropout != first.dropout || settings.lora_bias != first.lora_bias)
      throw ConfigError(
          "save_adapter: " + in_quotes(name) + " differs from " + in_quotes(names.front()) +
          " in use_rslora, use_dora, lora_bias or dropout, for which a file has one value");
    if (layer.trains_bias() && config.bias == "none") config.bias = "lora_only";
    // Layers within a module that PEFT wraps have that one's settings.
    const std::string_view module = wrapped_module(name);
    const auto same = std::find(names.begin(), names.end(), module);
    if (same != names.end()) {
      const auto i = same - names.begin();
      if (settings.rank != ranks[static_cast<std::size_t>(i)] ||
          settings.alpha_or_default() != alphas[static_cast<std::size_t>(i)])
        throw ConfigError("save_adapter: " + in_quotes(name) + " differs in rank or alpha from " +
                          in_quotes(*same) + ", of which PEFT takes it for a part");
      continue;
    }
    names.emplace_back(module);
    ranks.push_back(settings.rank);
    alphas.push_back(settings.alpha_or_default());
  }

  detail::drop_untrue_parameters(config, names, modules);
  config.rank_pattern = detail::in_file_order(config.rank_pattern);
  config.alpha_pattern = detail::in_file_order(config.alpha_pattern);
  bool describes = start.has_value();
  for (std::size_t i = 0; i < names.size() && describes; ++i) {
    const LoRAConfig settings = config.layer_config(names[i]);
    describes = settings.rank == ranks[i] && *settings.alpha == alphas[i];
  }
  if (!describes) {
    config.r = detail::most_common(ranks);
    config.lora_alpha = detail::most_common(alphas);
    config.rank_pattern = detail::exceptions(config, names, ranks, config.r);
    config.alpha_pattern = detail::exceptions(config, names, alphas, config.lora_alpha);
  }

  detail::check_trainable_tokens<T>(config, parameters);
  for (const Parameter<T>* parameter : parameters) {
    if (detail::is_trainable_tokens(parameter->name)) continue;
    const std::size_t dot = parameter->name.rfind('.');
    if (dot == std::string::npos)
      throw ConfigError("save_adapter: the parameter " + in_quotes(parameter->name) +
                        " is of no module: see set_name");
    const std::string module = parameter->name.substr(0, dot);
    if (!detail::is_within_saved(config.modules_to_save, module) &&
        !(config.bias == "all" && parameter->name.ends_with(".bias")))
      config.modules_to_save.push_back(module);
  }
  detail::set_targets(config, names, modules);
  detail::check_stored_whole<T>(config, names, parameters, modules);
  return config;
}

/// Does the same for layers that can be loaded too.
template <class T>
[[nodiscard]] PeftConfig describe_adapters(
    const std::vector<AdaptedLayerRef<T>>& layers,
    const ParameterList<std::type_identity_t<T>>& parameters = {},
    const std::optional<PeftConfig>& start = {}, const std::vector<ModuleName>& modules = {}) {
  const std::vector<AdaptedLayerView<T>> views(layers.begin(), layers.end());
  return describe_adapters(std::span<const AdaptedLayerView<T>>(views), parameters, start, modules);
}

}  // namespace lora::peft
