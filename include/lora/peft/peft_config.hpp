#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/optim/adalora_config.hpp"
#include "lora/peft/pattern_map.hpp"

namespace lora::peft {

/// A choice of modules by name: nothing (null), a list of names or of their last parts, or a
/// pattern that matches whole names. See module_selection.hpp.
using ModuleNames = std::variant<std::monostate, std::vector<std::string>, std::string>;

/// How the factors started: null and false leave it to torch, true is PEFT's default, and a word
/// names another start ("gaussian", "eva", "orthogonal", "mica", "pissa", "olora"). Adapters of the
/// last two belong to a changed base, W - s B A at the start, which PEFT makes again when it loads.
using InitLoraWeights = std::variant<std::monostate, bool, std::string>;

/// Tells whether init_lora_weights may be this word: a start that leaves the base weights as they
/// are, or whose changed base can be made again.
[[nodiscard]] inline bool is_known_start(std::string_view word) {
  for (const char* known : {"gaussian", "eva", "orthogonal", "mica", "pissa", "olora"})
    if (word == known) return true;
  return false;
}

/// Returns the start that `init` names; LoRAInit::kaiming for all that make no difference to an
/// adapter that is loaded ("eva", "mica", true, false, null), so that new factors begin so here.
/// Throws ConfigError for every other word ("pissa_niter_4", "loftq" ...): what those need beside
/// the config they are given after the layer was made (weight_start.hpp, data_start.hpp ...).
[[nodiscard]] inline LoRAInit start_of(const InitLoraWeights& init) {
  const auto* word = std::get_if<std::string>(&init);
  if (word != nullptr && !is_known_start(*word))
    throw ConfigError(message("init_lora_weights is ", in_quotes(*word),
                              ", expected \"gaussian\", \"eva\", \"orthogonal\", \"mica\", "
                              "\"pissa\" or \"olora\": begin with true, then start the layers from "
                              "weights or data"));
  if (word != nullptr)
    for (const LoRAInit start :
         {LoRAInit::gaussian, LoRAInit::orthogonal, LoRAInit::pissa, LoRAInit::olora})
      if (*word == name_of(start)) return start;
  return LoRAInit::kaiming;
}

/// Returns the module by which PEFT's settings know the adapted layer `name`: of a layer within one
/// that PEFT wraps as a whole, "attn.base_layer.out_proj" of a MultiheadAttention, that one,
/// "attn".
[[nodiscard]] inline std::string_view wrapped_module(std::string_view name) {
  return name.substr(0, name.find(".base_layer."));
}

/// Tells whether one of `entries` is the parameter's name or stands at its end behind a dot: PEFT's
/// rule for target_parameters.
[[nodiscard]] inline bool is_targeted_parameter(const std::vector<std::string>& entries,
                                                std::string_view parameter) {
  return std::any_of(entries.begin(), entries.end(), [&](std::string_view entry) {
    if (!parameter.ends_with(entry)) return false;
    const std::size_t front = parameter.size() - entry.size();
    return front == 0 || parameter[front - 1] == '.';
  });
}

/// The settings in an adapter_config.json of PEFT 0.21: those that are honoured here, by PEFT's
/// names, and every other key as it came. An empty string or list stands for null.
struct PeftConfig {
  Index r = 8;                               ///< rank of layers that no rank_pattern names
  double lora_alpha = 8;                     ///< alpha of layers that no alpha_pattern names
  bool use_rslora = false;                   ///< scaling alpha / sqrt(rank)
  bool use_dora = false;                     ///< magnitude vectors: see dora.hpp
  bool lora_bias = false;                    ///< B has a bias: see LoRAConfig
  PatternMap<Index> rank_pattern = {};       ///< ranks of layers by pattern
  PatternMap<double> alpha_pattern = {};     ///< alphas of layers by pattern
  double lora_dropout = 0;                   ///< in [0, 1)
  std::string bias = "none";                 ///< base biases that train: "none", "lora_only", "all"
  InitLoraWeights init_lora_weights = true;  ///< how the factors started
  ModuleNames target_modules = {};           ///< the modules that are adapted, or "all-linear"
  ModuleNames exclude_modules = {};          ///< those of them that are not
  /// Weights of linear layers, by the ends of their names, that are adapted as if target_modules
  /// had their modules: "self_attn.q_proj.weight". Beside them null target_modules are still the
  /// default of the model's type, and an empty list is none. See check_target_parameters.
  std::vector<std::string> target_parameters = {};
  /// Ranges of the model's layers, [begin, end), that are the layers of the model that is adapted,
  /// one range after the other: [[0, 4], [2, 5]] are 0, 1, 2, 3, 2, 3, 4. Empty: all as they are.
  std::vector<std::pair<Index, Index>> layer_replication = {};
  /// aLoRA: the adapter acts from the last place on where a text has these tokens, and nowhere in a
  /// text without them (Greenewald et al., "Activated LoRA", 2025, arXiv 2504.12397).
  std::vector<int> alora_invocation_tokens = {};
  /// Rows of embeddings and heads that train: see TrainableTokens. By the ends of their modules'
  /// names; under the empty name those of the input embedding, for which a file has a list alone.
  std::map<std::string, std::vector<int>> trainable_token_indices = {};
  std::vector<Index> layers_to_transform = {};    ///< only in these layers; empty: in all
  std::vector<std::string> layers_pattern = {};   ///< names of lists of layers; empty: any
  std::vector<std::string> modules_to_save = {};  ///< modules that are trained and stored whole
  std::string task_type = {};                     ///< "SEQ_CLS" ...
  std::string base_model_name_or_path = {};
  /// AdaLoRA's settings, where the file was of that method. Everything else here says then what the
  /// same adapter is as a plain one, which is also what is written.
  std::optional<AdaLoRAConfig> adalora = {};
  std::string peft_version = "0.21.2";  ///< of the release whose format a new config has
  /// Keys that are kept and not interpreted, each with its value as JSON text (or NaN or Infinity,
  /// which Python knows as well).
  std::map<std::string, std::string> other = {};

  /// Tells whether target_parameters has the weight of the module.
  [[nodiscard]] bool targets_weight_of(std::string_view module) const {
    return !target_parameters.empty() &&
           is_targeted_parameter(target_parameters, std::string(module) + ".weight");
  }

  /// Returns the name by which rank_pattern and alpha_pattern know the adapted layer `name`: that
  /// of the weight where target_parameters has it.
  [[nodiscard]] std::string pattern_name(std::string_view name) const {
    std::string module(wrapped_module(name));
    return targets_weight_of(module) ? module + ".weight" : module;
  }

  /// Returns the settings of the layer called `name`: its rank and alpha by the patterns.
  /// train_bias is set for bias = "lora_only" or "all"; for a layer without a bias the caller
  /// clears it. init is start_of(init_lora_weights).
  [[nodiscard]] LoRAConfig layer_config(std::string_view name) const {
    const std::string key = pattern_name(name);
    const Index* rank = rank_pattern.find(key);
    const double* alpha = alpha_pattern.find(key);
    return {.rank = rank != nullptr ? *rank : r,
            .alpha = alpha != nullptr ? *alpha : lora_alpha,
            .dropout = lora_dropout,
            .use_rslora = use_rslora,
            .init = start_of(init_lora_weights),
            .train_bias = bias != "none",
            .use_dora = use_dora,
            .lora_bias = lora_bias};
  }

  /// Returns the entry of trainable_token_indices that is of `module`, whose name ends in its, or
  /// that of the input embedding, which names none; end() where there is neither.
  [[nodiscard]] auto trainable_tokens_of(std::string_view module) const {
    const auto& all = trainable_token_indices;
    const auto entry = std::find_if(all.begin(), all.end(), [&](const auto& each) {
      return !each.first.empty() && module.ends_with(each.first);
    });
    return entry != all.end() ? entry : all.find("");
  }
};

/// Throws ConfigError, naming `where`, for an adapter of a start that changed the base (PiSSA ...):
/// it is not what is to be added to the base itself.
inline void require_own_base(const PeftConfig& config, const std::string& where) {
  if (const LoRAInit init = start_of(config.init_lora_weights); changes_base(init))
    throw ConfigError(message(where, ": the adapter began with ", name_of(init),
                              ", so it belongs to a changed base"));
}

}  // namespace lora::peft
