#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lora/peft/adapter_description.hpp"
#include "lora/peft/adapter_values.hpp"
#include "lora/peft/module_rules.hpp"

namespace lora::peft {
namespace detail {

/// Throws ShapeError, naming `where` and the module, unless the factors have the settings' rank.
template <class T>
void require_rank(const LoRAFactors<T>& factors, const std::string& module, const char* where) {
  const Index rank = factors.config.rank;
  if (factors.a.value.rows() != rank || factors.b.value.cols() != rank)
    throw ShapeError(message(where, ": A and B of ", in_quotes(module), " are ",
                             shape_of(factors.a.value), " and ", shape_of(factors.b.value),
                             ", expected the rank ", rank,
                             " of its settings: grouped convolutions are not built here"));
}

}  // namespace detail

/// Makes adapter.config agree with adapter.modules: it gets their most common rank and alpha, and a
/// pattern for each exception; target_modules stays where it selects them all, and otherwise
/// becomes a pattern of their names. Parts of one that PEFT wraps as a whole go by its name: see
/// wrapped_module. Throws ConfigError if there is no module, if modules differ in use_rslora, for
/// which a file has one value, and for parts of one wrapped module that differ in rank or alpha, as
/// energy may choose them; then nothing has changed.
template <class T>
void describe_values(AdapterValues<T>& adapter) {
  if (adapter.modules.empty()) throw ConfigError("describe_values: there is no adapted module");
  std::vector<std::string> names;
  std::vector<Index> ranks;
  std::vector<double> alphas;
  const LoRAConfig& first = adapter.modules.begin()->second.config;
  for (const auto& [name, factors] : adapter.modules) {
    if (factors.config.use_rslora != first.use_rslora)
      throw ConfigError(message("describe_values: ", in_quotes(name), " differs from ",
                                in_quotes(names.front()),
                                " in use_rslora, for which a file has one value"));
    // Parts of a module that PEFT wraps have that one's settings.
    const std::string_view module = wrapped_module(name);
    const auto same = std::find(names.begin(), names.end(), module);
    if (same != names.end()) {
      const auto i = static_cast<std::size_t>(same - names.begin());
      if (factors.config.rank != ranks[i] || factors.config.alpha_or_default() != alphas[i])
        throw ConfigError(
            message("describe_values: ", in_quotes(name), " has rank ", factors.config.rank,
                    " and alpha ", factors.config.alpha_or_default(), ", and ", in_quotes(*same),
                    ", of which PEFT takes it for a part, ", ranks[i], " and ", alphas[i],
                    ": a file has one of each for both, so give both one rank"));
      continue;
    }
    names.emplace_back(module);
    ranks.push_back(factors.config.rank);
    alphas.push_back(factors.config.alpha_or_default());
  }
  PeftConfig config = adapter.config;
  config.use_rslora = first.use_rslora;
  const bool can_tell = !detail::targets_need_model(config.target_modules);
  if (can_tell) detail::drop_untrue_parameters(config, names, {});
  config.r = detail::most_common(ranks);
  config.lora_alpha = detail::most_common(alphas);
  config.rank_pattern = detail::exceptions(config, names, ranks, config.r);
  config.alpha_pattern = detail::exceptions(config, names, alphas, config.lora_alpha);
  if (can_tell) detail::set_targets(config, names, {});
  adapter.config = std::move(config);
}

}  // namespace lora::peft
