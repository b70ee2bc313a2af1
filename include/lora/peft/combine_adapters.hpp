#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lora/adapters/combine_factors.hpp"
#include "lora/peft/describe_values.hpp"
#include "lora/random/substream.hpp"

namespace lora::peft {

/// One of the adapters that are combined, which it views.
template <class T>
struct WeightedAdapter {
  const AdapterValues<T>* adapter = nullptr;
  double weight = 1;      ///< negative ones subtract
  std::string name = {};  ///< for messages
};

namespace detail {

constexpr const char* combining = "combine_adapters";

/// Throws ConfigError for an adapter that is more than its factors and modules stored whole.
template <class T>
void require_combinable(const AdapterValues<T>& adapter, const std::string& name) {
  const auto fail = [&](const std::string& what) {
    throw ConfigError(message(combining, ": the adapter ", in_quotes(name), " has ", what));
  };
  if (adapter.modules.empty()) fail("no adapted module");
  if (adapter.config.bias != "none")
    fail("bias = " + in_quotes(adapter.config.bias) + ": trained biases are not combined");
  require_own_base(adapter.config, message(combining, ": ", in_quotes(name)));
  if (adapter.config.use_dora) fail("use_dora: magnitudes are not combined");
  if (!adapter.config.alora_invocation_tokens.empty())
    fail("alora_invocation_tokens: adapters that tokens invoke are not combined");
  if (!adapter.config.layer_replication.empty())
    fail("layer_replication: adapters of replicated layers are not combined");
  if (adapter.config.lora_bias) fail("lora_bias: biases of B are not combined");
  if (!adapter.config.target_parameters.empty())
    fail("target_parameters: adapters of parameters are not combined");
  if (!adapter.config.trainable_token_indices.empty())
    fail("trainable_token_indices: rows that train are not combined");
  for (const char* key : {"use_qalora", "use_bdlora"}) {
    const auto found = adapter.config.other.find(key);
    if (found == adapter.config.other.end()) continue;
    const std::string& value = found->second;
    if (value != "null" && value != "false" && value != "[]" && value != "{}")
      fail(message(key, " = ", printable(value), ", which is not combined"));
  }
  for (const auto& [tensor, stored] : adapter.others)
    if (tensor.find(".lora_") != std::string::npos)
      fail("the tensor " + in_quotes(tensor) + ", which is not combined");
  for (const auto& [module, factors] : adapter.modules) {
    require_rank(factors, message(module, " of ", name), combining);
    require_finite(factors.config.scaling(), combining, "the scaling of " + in_quotes(module));
  }
}

/// Returns the shape without the dimension `rank_at`: what factors of all ranks share.
[[nodiscard]] inline io::Shape without_rank(io::Shape shape, std::size_t rank_at) {
  if (rank_at < shape.size()) shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(rank_at));
  return shape;
}

/// Throws ShapeError unless two adapters have the same layer under the name `module`.
template <class T>
void require_same_module(const LoRAFactors<T>& first, const LoRAFactors<T>& other,
                         const std::string& module, const std::string& first_name,
                         const std::string& other_name) {
  if (first.is_embedding == other.is_embedding &&
      without_rank(first.a.shape, 0) == without_rank(other.a.shape, 0) &&
      without_rank(first.b.shape, 1) == without_rank(other.b.shape, 1))
    return;
  throw ShapeError(message(combining, ": ", in_quotes(module), " of ", in_quotes(other_name),
                           " has factors of shapes ", io::shape_text(other.a.shape), " and ",
                           io::shape_text(other.b.shape), ", and of ", in_quotes(first_name), " ",
                           io::shape_text(first.a.shape), " and ", io::shape_text(first.b.shape),
                           ": they are of different models"));
}

/// Returns the union of several target_modules as PEFT writes it, or nothing where they are of
/// several kinds.
[[nodiscard]] inline std::optional<ModuleNames> united(const std::vector<ModuleNames>& targets) {
  using List = std::vector<std::string>;
  if (std::all_of(targets.begin(), targets.end(),
                  [&](const ModuleNames& names) { return names == targets.front(); }))
    return targets.front();
  std::set<std::string> entries;
  std::string pattern;
  std::size_t lists = 0;
  for (const ModuleNames& names : targets) {
    if (targets_need_model(names)) return std::nullopt;
    if (const auto* list = std::get_if<List>(&names)) {
      entries.insert(list->begin(), list->end());
      ++lists;
    } else {
      pattern += (pattern.empty() ? "(" : "|(") + std::get<std::string>(names) + ")";
    }
  }
  if (lists == targets.size()) return ModuleNames(List(entries.begin(), entries.end()));
  if (lists > 0 || pattern.size() > NamePattern::most_bytes) return std::nullopt;
  return ModuleNames(std::move(pattern));
}

/// Chooses target_modules for modules of several adapters: the united ones if they select all.
template <class T>
void unite_targets(const std::vector<WeightedAdapter<T>>& adapters, AdapterValues<T>& result) {
  std::vector<ModuleNames> targets;
  const PeftConfig& first = adapters.front().adapter->config;
  bool same_rules = true;
  for (const WeightedAdapter<T>& each : adapters) {
    const PeftConfig& config = each.adapter->config;
    targets.push_back(config.target_modules);
    same_rules = same_rules && config.exclude_modules == first.exclude_modules &&
                 config.layers_to_transform == first.layers_to_transform &&
                 config.layers_pattern == first.layers_pattern;
  }
  PeftConfig& config = result.config;
  if (auto all = same_rules ? united(targets) : std::nullopt) {
    config.target_modules = std::move(*all);
    return;
  }
  // A list of whole names, which needs no other rule.
  std::vector<std::string> names;
  for (const auto& [name, factors] : result.modules) names.push_back(name);
  config.target_modules = std::move(names);
  config.exclude_modules = {};
  config.layers_to_transform = {};
  config.layers_pattern = {};
}

/// Takes over what each adapter stores whole, which two may have only where they agree.
template <class T>
void unite_others(const std::vector<WeightedAdapter<T>>& adapters, AdapterValues<T>& result) {
  std::map<std::string, std::string> owners;
  for (const WeightedAdapter<T>& each : adapters) {
    for (const auto& [name, tensor] : each.adapter->others) {
      const auto [owner, is_new] = owners.emplace(name, each.name);
      if (is_new) {
        result.others.emplace(name, tensor);
        continue;
      }
      const StoredTensor<T>& other = result.others.at(name);
      if (other.shape != tensor.shape || other.value != tensor.value)
        throw ConfigError(message(combining, ": ", in_quotes(owner->second), " and ",
                                  in_quotes(each.name), " both store ", in_quotes(name),
                                  " whole, and not the same: such modules are not combined"));
    }
    for (const std::string& module : each.adapter->config.modules_to_save) {
      auto& all = result.config.modules_to_save;
      if (std::find(all.begin(), all.end(), module) == all.end()) all.push_back(module);
    }
  }
}

template <class T>
[[nodiscard]] LoRAFactors<T> combined_module(const std::vector<WeightedAdapter<T>>& adapters,
                                             const std::string& module,
                                             const CombineOptions& options) {
  std::vector<LowRankTerm<T>> terms;
  const LoRAFactors<T>* first = nullptr;
  std::string_view first_name;
  for (const WeightedAdapter<T>& each : adapters) {
    const auto found = each.adapter->modules.find(module);
    if (found == each.adapter->modules.end()) continue;
    const LoRAFactors<T>& factors = found->second;
    if (first == nullptr) first = &factors, first_name = each.name;
    require_same_module(*first, factors, module, std::string(first_name), each.name);
    terms.push_back(
        {factors.a.value, factors.b.value, factors.config.scaling(), each.weight, each.name});
  }
  const auto named = [&](const std::exception& error) {
    return message(combining, ": ", in_quotes(module), ": ", error.what());
  };
  FactorPair<T> pair;
  try {
    pair = combine_factors(terms, options, substream_of(module));
  } catch (const ShapeError& error) {
    throw ShapeError(named(error));
  } catch (const ConfigError& error) {
    throw ConfigError(named(error));
  }
  const Index rank = pair.a.rows();
  LoRAFactors<T> result{first->config,
                        {std::move(pair.a), first->a.shape},
                        {std::move(pair.b), first->b.shape},
                        first->is_embedding};
  result.set_rank(rank);
  return result;
}

}  // namespace detail

/// Combines adapters of one model into one, module by module: the sum of weight * scaling * B A, or
/// what combine_factors makes of another type. Every module gets alpha = rank without use_rslora,
/// and so a scaling of 1. (PEFT 0.21.2 keeps use_rslora, which makes its combinations too large by
/// sqrt(rank).) Where an adapter lacks a module, it adds nothing there. Empty names become "0", "1"
/// and so on. The svd types have one rank for all modules, svd_rank or the largest there is.
///
/// The other settings are the first adapter's; target_modules is the union, or where that cannot be
/// written a list of all modules. What one adapter stores whole (modules_to_save) is taken over.
/// Throws ConfigError where two adapters store unequal tensors under one name, for trained biases,
/// lora_bias, DoRA, aLoRA, replicated layers and a changed base; ShapeError for adapters of
/// different models; and what combine_factors throws, naming the module.
template <class T>
[[nodiscard]] AdapterValues<T> combine_adapters(std::vector<WeightedAdapter<T>> adapters,
                                                CombineOptions options = {}) {
  validate(options, detail::combining);
  if (adapters.empty())
    throw ConfigError(message(detail::combining, ": there is no adapter to combine"));
  std::set<std::string> modules;
  Index largest_rank = 0;
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    WeightedAdapter<T>& each = adapters[i];
    if (each.name.empty()) each.name = std::to_string(i);
    if (each.adapter == nullptr)
      throw ConfigError(
          message(detail::combining, ": the adapter ", in_quotes(each.name), " is a null pointer"));
    detail::require_combinable(*each.adapter, each.name);
    for (const auto& [module, factors] : each.adapter->modules) {
      modules.insert(module);
      largest_rank = std::max(largest_rank, factors.config.rank);
    }
  }
  if (uses_svd(options.combination_type) && !options.svd_rank) options.svd_rank = largest_rank;

  AdapterValues<T> result{adapters.front().adapter->config, {}, {}};
  result.config.init_lora_weights = true;
  detail::unite_others(adapters, result);
  for (const std::string& module : modules)
    result.modules.emplace(module, detail::combined_module(adapters, module, options));
  detail::unite_targets(adapters, result);
  describe_values(result);
  return result;
}

}  // namespace lora::peft
