#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "lora/core/matrix.hpp"
#include "lora/nn/activation.hpp"

namespace lora::models {

/// The name of BERT's family in a config.json, and of its default targets in PEFT.
inline constexpr const char* bert_model_type = "bert";

/// The settings of a BERT-family encoder in a Hugging Face config.json; the defaults are
/// bert-base-uncased's, as there.
struct BertConfig {
  Index vocab_size = 30522;
  Index hidden_size = 768;
  Index num_hidden_layers = 12;
  Index num_attention_heads = 12;
  Index intermediate_size = 3072;
  Activation hidden_act = Activation::gelu;
  double hidden_dropout_prob = 0.1;
  double attention_probs_dropout_prob = 0.1;
  std::optional<double> classifier_dropout = {};  ///< hidden_dropout_prob if left out
  Index max_position_embeddings = 512;
  Index type_vocab_size = 2;
  double layer_norm_eps = 1e-12;
  double initializer_range = 0.02;        ///< standard deviation of a new head's weights
  std::optional<Index> pad_token_id = 0;  ///< whose embedding never trains, as in PyTorch
  Index num_labels = 2;                   ///< of id2label or num_labels

  [[nodiscard]] Index head_features() const { return hidden_size / num_attention_heads; }
};

/// Reads the JSON text of a config.json. Throws FileError, beginning with `where`, for text that is
/// not JSON, a size out of range, and what is not built here, which it names: another model_type,
/// relative positions, decoders, other activations.
[[nodiscard]] BertConfig parse_bert_config(std::string_view text, const std::string& where);

/// Reads directory/config.json. Throws FileError; see parse_bert_config.
[[nodiscard]] BertConfig read_bert_config(const std::filesystem::path& directory);

}  // namespace lora::models

#include "lora/models/bert/bert_config_parser.hpp"
