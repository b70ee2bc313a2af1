#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lora/core/parameter_list.hpp"
#include "lora/layers/adapted_layer_ref.hpp"
#include "lora/peft/module_selection.hpp"
#include "lora/peft/peft_config.hpp"

namespace lora::peft {
namespace detail {

/// Returns a pattern that matches `name` alone.
[[nodiscard]] inline std::string exact_pattern(std::string_view name) {
  std::string pattern = "^";
  for (const char c : name) {
    if (std::string_view(".^$*+?{}[]\\|()").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
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

/// Maps each name whose value is another than `usual` to it.
template <class Value>
[[nodiscard]] PatternMap<Value> exceptions(const std::vector<std::string>& names,
                                           const std::vector<Value>& values, const Value& usual) {
  PatternMap<Value> patterns;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (values[i] != usual) patterns.add(exact_pattern(names[i]), values[i]);
  return in_file_order(patterns);
}

}  // namespace detail

/// Returns the adapter_config.json of these layers, and of parameters stored whole beside them.
/// What `start` says is kept where it is true of the layers; otherwise their ranks and alphas
/// become the most common one and a pattern for each exception, and target_modules their names.
/// bias is "lora_only" if a layer trains its bias.
///
/// Throws ConfigError if there is no layer, one without a name or two of one name, and if the
/// layers differ in use_rslora or dropout, for which a file has one value.
template <class T>
[[nodiscard]] PeftConfig describe_adapters(
    const std::vector<AdaptedLayerRef<T>>& slots,
    const ParameterList<std::type_identity_t<T>>& parameters = {},
    const std::optional<PeftConfig>& start = {}) {
  if (slots.empty()) throw ConfigError("save_adapter: there is no layer to save");
  std::vector<std::string> names;
  std::vector<Index> ranks;
  std::vector<double> alphas;
  const LoRAConfig& first = slots.front().config();
  PeftConfig config = start.value_or(PeftConfig{});
  if (!start && first.init == LoRAInit::gaussian) config.init_lora_weights = "gaussian";
  config.use_rslora = first.use_rslora;
  config.lora_dropout = first.dropout;
  if (config.bias != "all") config.bias = "none";
  for (const AdaptedLayerRef<T>& slot : slots) {
    const LoRAConfig& settings = slot.config();
    const std::string& name = slot.name();
    if (name.empty()) throw ConfigError("save_adapter: a layer has no name: see set_name");
    if (std::find(names.begin(), names.end(), name) != names.end())
      throw ConfigError("save_adapter: two layers are called \"" + name + "\"");
    if (settings.use_rslora != first.use_rslora || settings.dropout != first.dropout)
      throw ConfigError("save_adapter: \"" + name + "\" differs from \"" + names.front() +
                        "\" in use_rslora or dropout, for which a file has one value");
    if (settings.train_bias && config.bias == "none") config.bias = "lora_only";
    names.push_back(name);
    ranks.push_back(settings.rank);
    alphas.push_back(settings.alpha_or_default());
  }

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
    config.rank_pattern = detail::exceptions(names, ranks, config.r);
    config.alpha_pattern = detail::exceptions(names, alphas, config.lora_alpha);
  }

  PatternList saved;
  for (const std::string& entry : config.modules_to_save) saved.add(detail::within_pattern(entry));
  for (const Parameter<T>* parameter : parameters) {
    const std::size_t dot = parameter->name.rfind('.');
    if (dot == std::string::npos)
      throw ConfigError("save_adapter: the parameter \"" + parameter->name + "\" is of no module");
    const std::string module = parameter->name.substr(0, dot);
    if (saved.any_matches(module) || (config.bias == "all" && parameter->name.ends_with(".bias")))
      continue;
    config.modules_to_save.push_back(module);
    saved.add(detail::within_pattern(module));
  }
  std::optional<ModuleRules> rules(config);
  const auto targets = [&](const std::string& name) { return rules->is_targeted(name); };
  if (!std::all_of(names.begin(), names.end(), targets)) {
    config.target_modules = names;
    config.exclude_modules = {};
    rules.emplace(config);
  }
  for (const std::string& name : names)
    if (!targets(name))
      throw ConfigError("save_adapter: \"" + name + "\" is adapted, but inside modules_to_save");
  return config;
}

}  // namespace lora::peft
