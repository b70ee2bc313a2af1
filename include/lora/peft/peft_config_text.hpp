#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/printable.hpp"
#include "lora/io/json_text.hpp"
#include "lora/peft/peft_config.hpp"

namespace lora::peft {
namespace detail {

/// Writes the values of an adapter_config.json, which stand one step inside of it.
struct PeftConfigWriter {
  static constexpr const char* where = "adapter_config.json";

  [[nodiscard]] static std::string text(const std::string& value) {
    return io::quoted(value, where, io::JsonEscapes::non_ascii);
  }

  /// Throws FileError, naming the key, for a number that PEFT could not compute with.
  static void require_finite(const std::string& key, double value) {
    if (!is_finite(value))
      throw FileError(message(where, ": ", key, " is ", value, ", expected a finite number"));
  }

  /// Returns null for an empty string.
  [[nodiscard]] static std::string text_or_null(const std::string& value) {
    return value.empty() ? "null" : text(value);
  }

  [[nodiscard]] static std::string list(const std::vector<std::string>& values) {
    std::vector<std::string> elements;
    elements.reserve(values.size());
    for (const std::string& value : values) elements.push_back(text(value));
    return io::json_array(elements, 1);
  }

  template <class Integer>
  [[nodiscard]] static std::string list(const std::vector<Integer>& values) {
    std::vector<std::string> elements;
    elements.reserve(values.size());
    for (const Integer value : values) elements.push_back(std::to_string(value));
    return io::json_array(elements, 1);
  }

  /// Returns null for an empty list.
  template <class Value>
  [[nodiscard]] static std::string list_or_null(const std::vector<Value>& values) {
    return values.empty() ? "null" : list(values);
  }

  /// Returns null for no ranges.
  [[nodiscard]] static std::string ranges(const std::vector<std::pair<Index, Index>>& ranges) {
    std::vector<std::string> elements;
    elements.reserve(ranges.size());
    for (const auto& [begin, end] : ranges)
      elements.push_back(io::json_array({std::to_string(begin), std::to_string(end)}, 2));
    return elements.empty() ? "null" : io::json_array(elements, 1);
  }

  /// Returns null for none, and a list of those of the input embedding alone. Throws FileError for
  /// these beside other modules'.
  [[nodiscard]] static std::string tokens(
      const std::map<std::string, std::vector<int>>& of_modules) {
    if (of_modules.empty()) return "null";
    if (of_modules.begin()->first.empty()) {
      if (of_modules.size() > 1)
        throw FileError(message(where,
                                ": trainable_token_indices has some without a module's name beside "
                                "others, for which a file has no place: name the input embedding"));
      return list(of_modules.begin()->second);
    }
    std::map<std::string, std::string> members;
    for (const auto& [module, ids] : of_modules) members[text(module)] = inside(list(ids));
    return io::json_object(members, 1);
  }

  [[nodiscard]] static std::string names(const ModuleNames& names) {
    if (const auto* some = std::get_if<std::vector<std::string>>(&names)) return list(*some);
    if (const auto* pattern = std::get_if<std::string>(&names)) return text(*pattern);
    return "null";
  }

  [[nodiscard]] static std::string start(const InitLoraWeights& start) {
    if (const auto* word = std::get_if<std::string>(&start)) return text(*word);
    if (const auto* yes = std::get_if<bool>(&start)) return *yes ? "true" : "false";
    return "null";
  }

  template <class Value>
  [[nodiscard]] static std::string patterns(const PatternMap<Value>& patterns) {
    std::map<std::string, std::string> members;
    for (const auto& [pattern, value] : patterns.entries())
      members[text(pattern)] = io::json_number(static_cast<double>(value));
    return io::json_object(members, 1);
  }

  /// Returns JSON text with the lines after its first a step further inside.
  [[nodiscard]] static std::string inside(const std::string& value) {
    std::string out;
    for (const char character : value) {
      out += character;
      if (character == '\n') out += "  ";
    }
    return out;
  }
};

/// Returns the keys of PEFT 0.21.2 that are not PeftConfig's own, with their defaults.
[[nodiscard]] inline std::map<std::string, std::string> other_peft_keys() {
  std::map<std::string, std::string> keys;
  for (const char* key :
       {"alora_invocation_tokens", "arrow_config", "auto_mapping", "corda_config", "eva_config",
        "kasa_config", "layer_replication", "lora_ga_config", "megatron_config",
        "monteclora_config", "revision", "trainable_token_indices", "use_bdlora", "velora_config"})
    keys[key] = "null";
  for (const char* key : {"ensure_weight_tying", "fan_in_fan_out", "lora_bias", "use_qalora"})
    keys[key] = "false";
  keys["loftq_config"] = "{}";
  keys["megatron_core"] = "\"megatron.core\"";
  keys["qalora_group_size"] = "16";
  return keys;
}

/// Returns the keys of adapter_config.json, each with its value as JSON text.
[[nodiscard]] inline std::map<std::string, std::string> peft_config_keys(const PeftConfig& config) {
  using Write = PeftConfigWriter;
  Write::require_finite("lora_alpha", config.lora_alpha);
  Write::require_finite("lora_dropout", config.lora_dropout);
  for (const auto& [pattern, alpha] : config.alpha_pattern.entries())
    Write::require_finite("alpha_pattern " + in_quotes(pattern), alpha);
  std::map<std::string, std::string> keys = other_peft_keys();
  for (const auto& [key, value] : config.other) keys[key] = Write::inside(value);
  keys["peft_type"] = "\"LORA\"";
  keys["inference_mode"] = "true";
  keys["r"] = std::to_string(config.r);
  keys["lora_alpha"] = io::json_number(config.lora_alpha);
  keys["use_rslora"] = config.use_rslora ? "true" : "false";
  keys["use_dora"] = config.use_dora ? "true" : "false";
  keys["lora_bias"] = config.lora_bias ? "true" : "false";
  keys["rank_pattern"] = Write::patterns(config.rank_pattern);
  keys["alpha_pattern"] = Write::patterns(config.alpha_pattern);
  keys["lora_dropout"] = io::json_float(config.lora_dropout);
  keys["bias"] = Write::text(config.bias);
  keys["init_lora_weights"] = Write::start(config.init_lora_weights);
  keys["target_modules"] = Write::names(config.target_modules);
  keys["target_parameters"] = Write::list_or_null(config.target_parameters);
  keys["exclude_modules"] = Write::names(config.exclude_modules);
  // PEFT takes layers_pattern only beside a list, which may be empty.
  keys["layers_to_transform"] = config.layers_pattern.empty()
                                    ? Write::list_or_null(config.layers_to_transform)
                                    : Write::list(config.layers_to_transform);
  keys["layers_pattern"] = Write::list_or_null(config.layers_pattern);
  keys["alora_invocation_tokens"] = Write::list_or_null(config.alora_invocation_tokens);
  keys["trainable_token_indices"] = Write::tokens(config.trainable_token_indices);
  keys["layer_replication"] = Write::ranges(config.layer_replication);
  keys["modules_to_save"] = Write::list_or_null(config.modules_to_save);
  keys["task_type"] = Write::text_or_null(config.task_type);
  keys["base_model_name_or_path"] = Write::text_or_null(config.base_model_name_or_path);
  keys["peft_version"] = Write::text_or_null(config.peft_version);
  return keys;
}

/// Returns the JSON object of these keys.
[[nodiscard]] inline std::string peft_config_object(
    const std::map<std::string, std::string>& keys) {
  std::map<std::string, std::string> members;
  for (const auto& [key, value] : keys) members[PeftConfigWriter::text(key)] = value;
  return io::json_object(members);
}

}  // namespace detail

/// Returns the JSON text that PEFT writes for these settings: all its keys, sorted, indented by 2.
/// Patterns are sorted too, so the first that matches may be another than before. Throws FileError
/// if a string is not UTF-8 or an alpha or the dropout not finite.
[[nodiscard]] inline std::string peft_config_text(const PeftConfig& config) {
  return detail::peft_config_object(detail::peft_config_keys(config));
}

}  // namespace lora::peft
