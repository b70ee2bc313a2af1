#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/config.hpp"
#include "lora/io/atomic_file.hpp"
#include "lora/io/json.hpp"
#include "lora/io/pattern_map.hpp"

namespace lora::io {

/// Holds an adapter_config.json of PEFT 0.21: the settings that are honoured here, by PEFT's names,
/// and every other key as it came. An empty string or list stands for null.
struct PeftConfig {
  Index r = 8;                                ///< rank of layers that no rank_pattern names
  double lora_alpha = 8;                      ///< alpha of layers that no alpha_pattern names
  bool use_rslora = false;                    ///< scaling alpha / sqrt(rank)
  PatternMap<Index> rank_pattern = {};        ///< ranks of layers by pattern
  PatternMap<double> alpha_pattern = {};      ///< alphas of layers by pattern
  double lora_dropout = 0;                    ///< in [0, 1)
  std::string bias = "none";                  ///< or "lora_only": biases of adapted layers
  SortedJson init_lora_weights = true;        ///< true, false or a word
  SortedJson target_modules = nullptr;        ///< a list of names, a pattern, or null
  std::vector<std::string> modules_to_save = {};
  std::string task_type = {};                 ///< "SEQ_CLS" ...
  std::string base_model_name_or_path = {};
  std::string peft_version = "0.21.2";        ///< of the release whose format a new config has
  SortedJson other = SortedJson::object();    ///< keys that are kept and not interpreted

  /// Returns the settings of the layer called `name`: its rank and alpha by the patterns. train_bias
  /// is set for bias = "lora_only"; for a layer without a bias the caller clears it.
  [[nodiscard]] LoRAConfig layer_config(std::string_view name) const {
    const Index* rank = rank_pattern.find(name);
    const double* alpha = alpha_pattern.find(name);
    return {.rank = rank != nullptr ? *rank : r,
            .alpha = alpha != nullptr ? *alpha : lora_alpha,
            .dropout = lora_dropout,
            .use_rslora = use_rslora,
            .init = init_lora_weights == "gaussian" ? LoRAInit::gaussian : LoRAInit::kaiming,
            .train_bias = bias == "lora_only"};
  }

  /// Tells whether target_modules selects the module called `name`: its entry or what ends in "."
  /// and an entry, for a list; what the whole pattern matches, for a string. Throws ConfigError for
  /// a pattern with a construct that is not known.
  [[nodiscard]] bool targets(std::string_view name) const {
    if (target_modules.is_string())
      return NamePattern(target_modules.get_ref<const std::string&>()).matches(name);
    return target_modules.is_array() &&
           std::any_of(target_modules.begin(), target_modules.end(), [&](const SortedJson& entry) {
             const auto& end = entry.get_ref<const std::string&>();
             return name == end || (name.size() > end.size() && name.ends_with(end) &&
                                    name[name.size() - end.size() - 1] == '.');
           });
  }
};

/// Reads the JSON text of an adapter_config.json; keys that are absent have PEFT's defaults. Throws
/// FileError, beginning with `where`, for a method other than LORA, a value out of range, a pattern
/// with an unknown construct, and every option that changes what a layer computes and is not built
/// here, which it names: DoRA, PiSSA's changed base ...
[[nodiscard]] PeftConfig parse_peft_config(std::string_view text, const std::string& where);

/// Returns the JSON text that PEFT writes for these settings: all its keys, sorted, indented by 2.
/// Patterns are sorted too, so the first that matches may be another than before. Throws FileError
/// if a string is not UTF-8.
[[nodiscard]] std::string peft_config_text(const PeftConfig& config);

}  // namespace lora::io

#include "lora/io/peft_config_parser.hpp"
#include "lora/io/peft_config_text.hpp"
