#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/printable.hpp"
#include "lora/io/json.hpp"
#include "lora/io/python_json_text.hpp"
#include "lora/peft/name_pattern.hpp"
#include "lora/peft/pattern_list.hpp"
#include "lora/peft/peft_config.hpp"
#include "lora/peft/target_parameters.hpp"

namespace lora::peft {

/// The largest adapter_config.json that is read, in bytes, and the largest rank in it: many times
/// what models have. Memory is taken for a rank only where a tensor or a layer has the size for it.
inline constexpr std::size_t peft_config_limit = 8'000'000;
inline constexpr Index peft_rank_limit = 1'000'000;

namespace detail {

/// A reader of adapter_config.json, key by key; `where` begins every message. Keys that were read
/// are taken out, so that what is left at the end is what PeftConfig::other keeps.
class PeftConfigParser {
 public:
  PeftConfigParser(std::string_view text, const std::string& where) : where_(where) {
    if (text.size() > peft_config_limit)
      fail(message("is ", text.size(), " bytes, expected at most ", peft_config_limit));
    // The first pattern that matches decides, so the order of the text matters. As in Python, a key
    // that comes again keeps its place and takes the new value.
    std::vector<std::string>* order = nullptr;
    keys_ = io::parse_json(text, where, io::python_json,
                           [&](std::size_t depth, const std::string& key) {
                             if (depth == 1) {
                               const auto found = order_.find(key);
                               order = found == order_.end() ? nullptr : &found->second;
                               if (order != nullptr) order->clear();
                             } else if (depth == 2 && order != nullptr) {
                               order->push_back(key);
                             }
                           });
    if (!keys_.is_object()) fail("is not a JSON object");
  }

  PeftConfig parse() {
    const bool is_adalora = method() == "ADALORA";
    PeftConfig config;
    config.r = rank("r", take("r", 8U));
    config.lora_alpha = number("lora_alpha", take("lora_alpha", 8));
    config.use_rslora = boolean("use_rslora", false);
    config.use_dora = boolean("use_dora", false);
    if (is_adalora) {
      read_adalora(config);
    } else {
      read_patterns(
          "rank_pattern", config.rank_pattern,
          [&](const std::string& key, const io::Json& value) { return rank(key, value); });
      read_patterns(
          "alpha_pattern", config.alpha_pattern,
          [&](const std::string& key, const io::Json& value) { return number(key, value); });
    }
    config.lora_dropout = number("lora_dropout", take("lora_dropout", 0.0));
    if (!(is_finite(config.lora_dropout) && config.lora_dropout >= 0 && config.lora_dropout < 1))
      fail(message("lora_dropout is ", config.lora_dropout, ", expected 0 <= p < 1"));
    config.bias = one_of("bias", take("bias", "none"), {"none", "lora_only", "all"});
    config.init_lora_weights = initialisation();
    config.lora_bias = boolean("lora_bias", false);
    if (config.lora_bias && config.use_dora)
      fail("lora_bias and use_dora are true, which exclude each other");
    if (config.lora_bias && !std::holds_alternative<bool>(config.init_lora_weights))
      fail("lora_bias is true, which goes with an init_lora_weights of true or false only");
    config.target_modules = module_names("target_modules");
    config.exclude_modules = module_names("exclude_modules");
    io::Json parameters = take("target_parameters", nullptr);
    if (parameters != false) config.target_parameters = strings("target_parameters", parameters);
    read_layers(config);
    read_replication(config);
    read_invocation(config);
    read_trainable_tokens(config);
    if (is_adalora) finish_adalora(config);
    config.modules_to_save = strings("modules_to_save", take("modules_to_save", nullptr));
    require_patterns("modules_to_save", config.modules_to_save);
    const io::Json task = take("task_type", nullptr);
    if (!task.is_null())
      config.task_type = one_of("task_type", task,
                                {"SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS",
                                 "QUESTION_ANS", "FEATURE_EXTRACTION"});
    config.base_model_name_or_path = string_or_null("base_model_name_or_path");
    config.peft_version = string_or_null("peft_version");
    refuse_what_is_not_built();
    keys_.erase("inference_mode");  // says how it was saved, not what it is
    keys_.erase("runtime_config");  // as PEFT does
    for (const auto& [key, value] : keys_.items())
      config.other[key] = io::python_json_text(value, where_);
    try {
      check_target_parameters(config);
    } catch (const ConfigError& error) {
      fail(error.what());
    }
    return config;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw FileError(where_ + ": " + what); }

  [[noreturn]] void fail(const std::string& key, const io::Json& value,
                         const std::string& expected) const {
    fail(key + " is " + io::excerpt(value) + ", expected " + expected);
  }

  // Returns the value of `key` and takes it out; `absent` where there is none.
  io::Json take(const char* key, io::Json absent) {
    const auto found = keys_.find(key);
    if (found == keys_.end()) return absent;
    io::Json value = std::move(*found);
    keys_.erase(found);
    return value;
  }

  // Returns peft_type.
  std::string method() {
    const io::Json type = take("peft_type", nullptr);
    if (type.is_null()) fail("has no peft_type, expected \"LORA\"");
    for (const char* known : {"LORA", "ADALORA"})
      if (io::is_text(type, known)) return known;
    fail("peft_type", type, "\"LORA\" or \"ADALORA\": other methods are not built here");
  }

  // AdaLoRA's settings, and rank and alpha of the plain adapter that each layer's is: what is left
  // of init_r, and a scaling of alpha / (init_r + 1e-5) whatever is left.
  void read_adalora(PeftConfig& config) {
    AdaLoRAConfig ada;
    ada.init_r = rank("init_r", take("init_r", 12U));
    ada.target_r = rank("target_r", take("target_r", 8U));
    ada.total_step = steps("total_step", 0);
    ada.tinit = steps("tinit", 0);
    ada.tfinal = steps("tfinal", 0);
    ada.delta_t = steps("deltaT", 1);
    ada.beta1 = number("beta1", take("beta1", 0.85));
    ada.beta2 = number("beta2", take("beta2", 0.85));
    ada.orth_reg_weight = number("orth_reg_weight", take("orth_reg_weight", 0.5));
    ada.alpha = config.lora_alpha;
    if (ada.alpha <= 0)
      fail(message("lora_alpha is ", ada.alpha, ", expected a positive number of AdaLoRA"));
    config.r = ada.init_r;
    config.lora_alpha = *ada.lora_config(ada.init_r).alpha;
    const io::Json kept = take("rank_pattern", nullptr);
    if (!kept.is_null() && !kept.is_object())
      fail("rank_pattern", kept, "an object of lists of true and false, as AdaLoRA has it");
    if (kept.is_object())
      for (const auto& [key, mask] : kept.items()) {
        const Index left = kept_ranks(key, mask, ada.init_r);
        if (left == ada.init_r) continue;
        const std::string pattern = "^" + literal_pattern(module_of_mask(key));
        add_pattern("rank_pattern", config.rank_pattern, pattern, left);
        add_pattern("rank_pattern", config.alpha_pattern, pattern, *ada.lora_config(left).alpha);
      }
    config.adalora = ada;
  }

  // Refuses what AdaLoRA's layers do not have, and PEFT ignores there.
  void finish_adalora(PeftConfig& config) {
    const io::Json alphas = take("alpha_pattern", nullptr);
    const auto refuse = [&](const char* key, bool is_set) {
      if (is_set) fail(std::string(key) + " is set, which AdaLoRA does not have");
    };
    refuse("alpha_pattern", !alphas.is_null() && !alphas.empty());
    refuse("use_rslora", config.use_rslora);
    refuse("use_dora", config.use_dora);
    refuse("lora_bias", config.lora_bias);
    refuse("target_parameters", !config.target_parameters.empty());
    refuse("alora_invocation_tokens", !config.alora_invocation_tokens.empty());
    refuse("trainable_token_indices", !config.trainable_token_indices.empty());
    if (std::holds_alternative<std::string>(config.init_lora_weights))
      fail("init_lora_weights is a start that AdaLoRA does not have, expected true or false");
    config.adalora->dropout = config.lora_dropout;
  }

  [[nodiscard]] std::uint64_t steps(const char* key, unsigned absent) {
    const io::Json value = take(key, absent);
    if (value.is_null()) return absent;
    if (!value.is_number_unsigned()) fail(key, value, "a number of steps");
    return value.get<std::uint64_t>();
  }

  // Returns the module of `encoder.query.lora_E`, behind which older files have the adapter's name.
  [[nodiscard]] std::string module_of_mask(const std::string& key) const {
    const std::size_t end = key.rfind(".lora_E");
    if (end == std::string::npos || end == 0)
      fail("rank_pattern " + in_quotes(key) + ": expected the name of a module and .lora_E");
    return key.substr(0, end);
  }

  // Returns how many ranks a mask keeps. A plain adapter has one at least, which is zero here.
  [[nodiscard]] Index kept_ranks(const std::string& key, const io::Json& mask, Index most) const {
    Index kept = 0;
    bool is_mask = mask.is_array() && mask.size() <= static_cast<std::size_t>(most);
    for (std::size_t i = 0; is_mask && i < mask.size(); ++i) {
      is_mask = mask[i].is_boolean();
      if (is_mask && mask[i].get<bool>()) ++kept;
    }
    if (!is_mask)
      fail("rank_pattern " + in_quotes(key), mask,
           message("a list of true and false, at most init_r = ", most));
    return std::max<Index>(kept, 1);
  }

  [[nodiscard]] Index rank(const std::string& key, const io::Json& value) const {
    const std::string expected = message("an integer from 1 to ", peft_rank_limit);
    if (!value.is_number_unsigned()) fail(key, value, expected);
    const auto rank = value.get<std::uint64_t>();
    if (rank < 1 || rank > static_cast<std::uint64_t>(peft_rank_limit)) fail(key, value, expected);
    return static_cast<Index>(rank);
  }

  [[nodiscard]] double number(const std::string& key, const io::Json& value) const {
    // Layers compute with it as float, where a larger one would be infinite.
    if (!value.is_number() || !is_finite(value.get<double>()) ||
        std::abs(value.get<double>()) > std::numeric_limits<float>::max())
      fail(key, value, "a finite number of float's range");
    return value.get<double>();
  }

  bool boolean(const char* key, bool absent) {
    const io::Json value = take(key, absent);
    if (value.is_null()) return false;  // as in Python
    if (!value.is_boolean()) fail(key, value, "true or false");
    return value.get<bool>();
  }

  [[nodiscard]] std::string one_of(const char* key, const io::Json& value,
                                   const std::vector<std::string>& words) const {
    for (const std::string& word : words)
      if (io::is_text(value, word)) return word;
    std::string expected = "one of";
    for (const std::string& word : words) expected += " \"" + word + "\"";
    fail(key, value, expected);
  }

  std::string string_or_null(const char* key) {
    const io::Json value = take(key, nullptr);
    if (value.is_null()) return {};
    if (!value.is_string()) fail(key, value, "a string or null");
    return value.get<std::string>();
  }

  [[nodiscard]] std::vector<std::string> strings(const char* key, const io::Json& value) const {
    if (value.is_null()) return {};
    if (!value.is_array()) fail(key, value, "a list of strings or null");
    std::vector<std::string> list;
    for (const io::Json& entry : value) {
      if (!entry.is_string()) fail(key, value, "a list of strings or null");
      list.push_back(entry.get<std::string>());
    }
    return list;
  }

  void require_pattern(const std::string& key, const std::string& text) const {
    try {
      static_cast<void>(NamePattern(text));
    } catch (const ConfigError& error) {
      fail(key + ": " + error.what());
    }
  }

  void require_patterns(const std::string& key, const std::vector<std::string>& texts) const {
    PatternList list;
    try {
      for (const std::string& text : texts) list.add(text);
    } catch (const ConfigError& error) {
      fail(key + ": " + error.what());
    }
  }

  template <class Value, class Convert>
  void read_patterns(const char* key, PatternMap<Value>& patterns, const Convert& convert) {
    const io::Json object = take(key, io::Json::object());
    if (object.is_null()) return;
    if (!object.is_object()) fail(key, object, "an object of patterns and numbers");
    std::set<std::string_view> seen;
    for (const std::string& name : order_.at(key)) {
      if (!seen.insert(name).second) continue;
      add_pattern(key, patterns, name,
                  convert(message(key, " ", in_quotes(name)), object.at(name)));
    }
  }

  template <class Value>
  void add_pattern(const char* key, PatternMap<Value>& patterns, const std::string& pattern,
                   Value value) const {
    try {
      patterns.add(pattern, value);
    } catch (const ConfigError& error) {
      fail(message(key, ": ", error.what()));
    }
  }

  ModuleNames module_names(const char* key) {
    const io::Json value = take(key, nullptr);
    if (value.is_null()) return {};
    if (!value.is_string()) return strings(key, value);
    auto text = value.get<std::string>();
    require_pattern(key, text);
    return text;
  }

  void read_layers(PeftConfig& config) {
    const io::Json layers = take("layers_to_transform", nullptr);
    const io::Json names = take("layers_pattern", nullptr);
    const char* integers = "an integer, a list of integers, or null";
    const auto add = [&](const io::Json& layer) {
      constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
      if (!layer.is_number_integer() ||
          (layer.is_number_unsigned() && layer.get<std::uint64_t>() > most))
        fail("layers_to_transform", layers, integers);
      config.layers_to_transform.push_back(layer.get<Index>());
    };
    if (layers.is_array())
      std::for_each(layers.begin(), layers.end(), add);
    else if (!layers.is_null())
      add(layers);
    if (names.is_string() && !names.get_ref<const std::string&>().empty())
      config.layers_pattern = {names.get<std::string>()};
    else if (!names.is_string())
      config.layers_pattern = strings("layers_pattern", names);
    if (!config.layers_pattern.empty() && layers.is_null())
      fail("layers_pattern is set without layers_to_transform");
    if (std::holds_alternative<std::string>(config.target_modules) &&
        (!layers.is_null() || !names.is_null()))
      fail("layers_to_transform and layers_pattern go with a list of target_modules only");
    require_patterns("layers_pattern", config.layers_pattern);
    // PEFT puts each into a larger pattern as it is, where a | would cut that in two.
    for (const std::string& pattern : config.layers_pattern)
      if (pattern.find('|') != std::string::npos)
        fail("layers_pattern " + in_quotes(pattern) + " has a |: write a list of names instead");
  }

  void read_replication(PeftConfig& config) {
    const io::Json ranges = take("layer_replication", nullptr);
    if (ranges.is_null() || ranges == false) return;
    const char* expected = "a list of pairs [begin, end] of layers, 0 <= begin <= end";
    if (!ranges.is_array()) fail("layer_replication", ranges, expected);
    const auto is_layer = [](const io::Json& value) {
      return value.is_number_unsigned() &&
             value.get<std::uint64_t>() <= static_cast<std::uint64_t>(peft_rank_limit);
    };
    for (const io::Json& range : ranges) {
      if (!range.is_array() || range.size() != 2 || !is_layer(range[0]) || !is_layer(range[1]) ||
          range[0].get<Index>() > range[1].get<Index>())
        fail("layer_replication", ranges, expected);
      config.layer_replication.emplace_back(range[0].get<Index>(), range[1].get<Index>());
    }
  }

  // Returns the list of token ids that `key` is.
  [[nodiscard]] std::vector<int> token_ids(const std::string& key, const io::Json& tokens) const {
    const char* expected = "a list of token ids";
    if (!tokens.is_array()) fail(key, tokens, expected);
    std::vector<int> ids;
    for (const io::Json& token : tokens) {
      if (!token.is_number_unsigned() ||
          token.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<int>::max()))
        fail(key, tokens, expected);
      ids.push_back(token.get<int>());
    }
    return ids;
  }

  // A list is of the input embedding, an object has one for each of its modules.
  void read_trainable_tokens(PeftConfig& config) {
    const std::string key = "trainable_token_indices";
    const io::Json tokens = take(key.c_str(), nullptr);
    if (tokens.is_null() || tokens == false || tokens.empty()) return;
    if (!tokens.is_object()) {
      config.trainable_token_indices[""] = token_ids(key, tokens);
      return;
    }
    for (const auto& [module, ids] : tokens.items()) {
      if (module.empty()) fail(key, tokens, "names of modules that are not empty");
      config.trainable_token_indices[module] = token_ids(key + " of " + in_quotes(module), ids);
      if (ids.empty()) fail(key, tokens, "at least one token of each module");
    }
  }

  void read_invocation(PeftConfig& config) {
    const io::Json tokens = take("alora_invocation_tokens", nullptr);
    if (tokens.is_null() || tokens == false) return;
    config.alora_invocation_tokens = token_ids("alora_invocation_tokens", tokens);
    if (!tokens.empty() && config.use_dora)
      fail("alora_invocation_tokens and use_dora are set, which exclude each other");
  }

  InitLoraWeights initialisation() {
    const io::Json value = take("init_lora_weights", true);
    // Null leaves the factors as torch made them, as false does; those of a file replace them.
    if (value.is_null()) return {};
    if (value.is_boolean()) return value.get<bool>();
    const std::string word = value.is_string() ? value.get<std::string>() : "";
    if (is_known_start(word)) return word;
    for (const char* changed : {"pissa_niter_", "corda", "loftq", "lora_ga"})
      if (word.starts_with(changed))
        fail("init_lora_weights", value,
             "one whose base can be made again: this adapter belongs to a base that was changed "
             "with random numbers, data or codes; PEFT's path_initial_model_for_weight_conversion "
             "saves one for the base itself");
    fail("init_lora_weights", value,
         R"(true, false, "gaussian", "eva", "orthogonal", "mica", "pissa" or "olora")");
  }

  // What would compute something else than y = x W^T + b + s x A^T B^T, or store other tensors.
  void refuse_what_is_not_built() const {
    for (const char* key : {"use_qalora", "use_bdlora", "arrow_config", "kasa_config",
                            "velora_config", "monteclora_config"}) {
      const auto found = keys_.find(key);
      if (found != keys_.end() && !found->is_null() && *found != false)
        fail(key, *found, "null or false: this is not built here");
    }
  }

  const std::string& where_;
  io::Json keys_;
  // The keys of these objects as they are written.
  std::map<std::string, std::vector<std::string>> order_{{"rank_pattern", {}},
                                                         {"alpha_pattern", {}}};
};

}  // namespace detail

/// Reads the JSON text of an adapter_config.json; keys that are absent have PEFT's defaults. That
/// of AdaLoRA becomes that of the plain adapter which adds the same to the weight. Throws
/// FileError, beginning with `where`, for a method other than LORA and ADALORA, a value out of
/// range, a pattern with an unknown construct, and every option that changes what a layer computes
/// and is not built here, which it names: QA-LoRA, CorDA's changed base ...
[[nodiscard]] inline PeftConfig parse_peft_config(std::string_view text, const std::string& where) {
  return detail::PeftConfigParser(text, where).parse();
}

}  // namespace lora::peft
