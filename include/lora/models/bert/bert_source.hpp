#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "lora/core/finite.hpp"
#include "lora/models/bert/bert_config.hpp"
#include "lora/models/bert/bert_options.hpp"
#include "lora/models/bert/bert_outline.hpp"
#include "lora/models/common/model_source.hpp"

namespace lora::models {

/// What a BERT model is built from; see ModelSource.
template <class T>
struct BertSource : ModelSource<T, BertConfig> {
  /// Opens a Hugging Face directory whose model is to have these parts, a prefix "bert." standing
  /// for a model with a head. Throws FileError and ConfigError.
  BertSource(const std::filesystem::path& directory, const BertOptions& options,
             BertParts model_parts)
      : BertSource(directory, options, std::move(model_parts),
                   with_options(read_bert_config(directory), options)) {}

  /// Returns the path of the pooler's linear module.
  [[nodiscard]] std::string pooler() const { return parts.prefix + "pooler.dense"; }

  /// Tells whether the files have the pooler's weights.
  [[nodiscard]] bool has_pooler() const { return this->weights->contains(pooler() + ".weight"); }

  /// Throws FileError, naming the remedies, where the files have no pooler and a new one would not
  /// train: its random weights would pass for the model's.
  void require_pooler() const {
    if (has_pooler() || this->plan[pooler()].role == ModuleRole::trained) return;
    throw FileError(message(
        this->weights->path().string(), ": has no \"", pooler(),
        ".weight\", as a masked language model has none: take the mean of the tokens in its place "
        "(BertOptions::pooling = BertPooling::mean), or train a new pooler (with LoRA, "
        "modules_to_save = {\"pooler\"}; without, LastLayers or FullTuning)"));
  }

  BertParts parts;

 private:
  BertSource(const std::filesystem::path& directory, const BertOptions& options,
             BertParts model_parts, const BertConfig& with)
      : ModelSource<T, BertConfig>(directory, with, bert_outline(with, model_parts),
                                   options.tuning),
        parts(std::move(model_parts)) {
    PretrainedWeights<T>& files = *this->weights;
    // Files of a model without head have no prefix, those of one with a head have it.
    const bool stored = files.contains("bert.embeddings.word_embeddings.weight");
    files.replace_prefix(parts.prefix, stored ? "bert." : "");
    // What TensorFlow called them; the first BERT files still do.
    files.also_known_as("LayerNorm.weight", "LayerNorm.gamma");
    files.also_known_as("LayerNorm.bias", "LayerNorm.beta");
  }

  static BertConfig with_options(BertConfig config, const BertOptions& options) {
    const auto probability = [](const char* name, const std::optional<double>& p) {
      if (p && !(is_finite(*p) && *p >= 0 && *p < 1))
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
