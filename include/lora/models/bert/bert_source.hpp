#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lora/models/bert/bert_config.hpp"
#include "lora/models/bert/bert_options.hpp"
#include "lora/models/bert/bert_outline.hpp"
#include "lora/models/common/model_builder.hpp"

namespace lora::models {

/// Holds what a BERT model is built from: its files and what becomes of each module. The weights
/// are to be kept as long as the model.
template <class T>
struct BertSource {
  /// Opens a Hugging Face directory whose model is to have these parts, a prefix "bert." standing
  /// for a model with a head. Throws FileError and ConfigError.
  BertSource(const std::filesystem::path& directory, const BertOptions& options,
             BertParts model_parts)
      : config(with_options(read_bert_config(directory), options)),
        parts(std::move(model_parts)),
        weights(std::make_shared<PretrainedWeights<T>>(directory)),
        modules(bert_outline(config, parts)),
        plan(options.tuning, modules, config.num_hidden_layers, parts.prefix,
             parts.classifier ? "classifier" : "") {
    // Files of a model without head have no prefix, those of one with a head have it.
    const bool stored = weights->contains("bert.embeddings.word_embeddings.weight");
    weights->replace_prefix(parts.prefix, stored ? "bert." : "");
  }

  /// Returns what modules are built from.
  [[nodiscard]] ModelBuilder<T> builder(std::uint64_t seed) const {
    return {*weights, plan, config, seed};
  }

  BertConfig config;
  BertParts parts;
  std::shared_ptr<PretrainedWeights<T>> weights;
  std::vector<peft::ModuleName> modules;
  TuningPlan plan;

 private:
  static BertConfig with_options(BertConfig config, const BertOptions& options) {
    const auto probability = [](const char* name, const std::optional<double>& p) {
      if (p && !(*p >= 0 && *p < 1))
        throw ConfigError(message("BertOptions: ", name, " is ", *p, ", expected 0 <= p < 1"));
      return p;
    };
    if (const auto p = probability("hidden_dropout", options.hidden_dropout))
      config.hidden_dropout_prob = *p;
    if (const auto p = probability("attention_dropout", options.attention_dropout))
      config.attention_probs_dropout_prob = *p;
    if (const auto p = probability("classifier_dropout", options.classifier_dropout))
      config.classifier_dropout = *p;
    if (options.labels && *options.labels < 1)
      throw ConfigError(
          message("BertOptions: labels is ", *options.labels, ", expected at least 1"));
    config.num_labels = options.labels.value_or(config.num_labels);
    return config;
  }
};

}  // namespace lora::models
