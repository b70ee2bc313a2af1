#pragma once

#include <string>
#include <vector>

#include "lora/models/bert/bert_config.hpp"
#include "lora/models/common/model_outline.hpp"

namespace lora::models {

/// The modules that a BERT model has besides embeddings and encoder.
struct BertParts {
  std::string prefix = {};  ///< before the encoder's modules: "bert." under a head
  bool pooler = true;
  bool classifier = false;
};

/// Outlines a BERT model with these parts.
[[nodiscard]] inline ModelOutline bert_outline(const BertConfig& config, const BertParts& parts) {
  using Kind = peft::ModuleKind;
  const std::string& prefix = parts.prefix;
  ModelOutline outline{.model_type = bert_model_type,
                       .block_norms = {"attention.output.LayerNorm", "output.LayerNorm"},
                       .top = parts.pooler ? prefix + "pooler" : "",
                       .head = parts.classifier ? "classifier" : "",
                       .input_embedding = prefix + "embeddings.word_embeddings"};
  std::vector<peft::ModuleName>& modules = outline.modules;
  modules.push_back({"", Kind::no_layer});
  const auto add = [&](const std::string& name, Kind kind = Kind::no_layer) {
    modules.push_back({name, kind});
  };
  if (!prefix.empty()) add(prefix.substr(0, prefix.size() - 1));
  add(prefix + "embeddings");
  for (const char* table : {"word_embeddings", "position_embeddings", "token_type_embeddings"})
    add(prefix + "embeddings." + table, Kind::other_layer);
  add(prefix + "embeddings.LayerNorm");
  add(prefix + "embeddings.dropout");
  add(prefix + "encoder");
  add(prefix + "encoder.layer");
  const auto add_output = [&](const std::string& block) {
    add(block);
    add(block + ".dense", Kind::linear);
    add(block + ".LayerNorm");
    add(block + ".dropout");
  };
  for (Index i = 0; i < config.num_hidden_layers; ++i) {
    const std::string layer = message(prefix, "encoder.layer.", i);
    outline.blocks.push_back(layer);
    add(layer);
    add(layer + ".attention");
    add(layer + ".attention.self");
    for (const char* part : {"query", "key", "value"})
      add(layer + ".attention.self." + part, Kind::linear);
    add(layer + ".attention.self.dropout");
    add_output(layer + ".attention.output");
    add(layer + ".intermediate");
    add(layer + ".intermediate.dense", Kind::linear);
    add(layer + ".intermediate.intermediate_act_fn");
    add_output(layer + ".output");
  }
  if (parts.pooler) {
    add(prefix + "pooler");
    add(prefix + "pooler.dense", Kind::linear);
    add(prefix + "pooler.activation");
  }
  if (parts.classifier) {
    add("dropout");
    add("classifier", Kind::linear);
  }
  return outline;
}

}  // namespace lora::models
