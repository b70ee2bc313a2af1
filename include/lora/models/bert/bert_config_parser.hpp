#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "lora/models/bert/bert_config.hpp"
#include "lora/models/common/config_fields.hpp"
#include "lora/models/common/quantisation_config.hpp"

namespace lora::models {

namespace detail {

// Refuses whatever would change what the encoder computes, and is not built.
inline void refuse_what_is_no_bert(const ConfigFields& fields) {
  if (fields.has("model_type") && !io::is_text(fields["model_type"], bert_model_type))
    fields.unexpected("model_type", "\"bert\": other families are not built");
  if (fields.has("position_embedding_type") &&
      !io::is_text(fields["position_embedding_type"], "absolute"))
    fields.unexpected("position_embedding_type", "\"absolute\": relative positions are not built");
  for (const char* key : {"is_decoder", "add_cross_attention", "is_encoder_decoder"})
    if (fields.has(key) && fields[key] != io::Json(false))
      fields.unexpected(key, "false: decoders are not built");
  if (fields.has("pruned_heads") &&
      !(fields["pruned_heads"].is_structured() && fields["pruned_heads"].empty()))
    fields.unexpected("pruned_heads", "{}: pruned heads are not built");
  if (fields.has("embedding_size") &&
      !(fields.has("hidden_size") && fields["embedding_size"] == fields["hidden_size"]))
    fields.unexpected("embedding_size", "hidden_size: factorised embeddings are not built");
  refuse_other_quantisations(fields);
}

[[nodiscard]] inline BertConfig bert_config_of(const ConfigFields& fields) {
  refuse_what_is_no_bert(fields);
  BertConfig config;
  fields.read_size("vocab_size", config.vocab_size, 1, 100'000'000);
  fields.read_size("hidden_size", config.hidden_size, 1, 1'000'000);
  fields.read_size("num_hidden_layers", config.num_hidden_layers, 0, 1'000);
  fields.read_size("num_attention_heads", config.num_attention_heads, 1, 1'000'000);
  fields.read_size("intermediate_size", config.intermediate_size, 1, 10'000'000);
  fields.read_size("max_position_embeddings", config.max_position_embeddings, 1, 100'000'000);
  fields.read_size("type_vocab_size", config.type_vocab_size, 1, 1'000'000);
  if (config.hidden_size % config.num_attention_heads != 0)
    fields.fail(message("hidden_size is ", config.hidden_size, ", expected a multiple of the ",
                        config.num_attention_heads, " num_attention_heads"));
  fields.read_activation("hidden_act", config.hidden_act);
  fields.read_dropout("hidden_dropout_prob", config.hidden_dropout_prob);
  fields.read_dropout("attention_probs_dropout_prob", config.attention_probs_dropout_prob);
  if (fields.has("classifier_dropout"))
    fields.read_dropout("classifier_dropout", config.classifier_dropout.emplace());
  fields.read_small("layer_norm_eps", config.layer_norm_eps);
  fields.read_small("initializer_range", config.initializer_range);
  fields.read_labels(config.num_labels);
  if (fields.is_null("pad_token_id"))
    config.pad_token_id.reset();
  else
    fields.read_size("pad_token_id", *config.pad_token_id, 0, config.vocab_size - 1);
  return config;
}

}  // namespace detail

inline BertConfig parse_bert_config(std::string_view text, const std::string& where) {
  return detail::bert_config_of(ConfigFields(text, where));
}

inline BertConfig read_bert_config(const std::filesystem::path& directory) {
  return detail::bert_config_of(read_config_fields(directory));
}

}  // namespace lora::models
