#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lora/models/bert/bert_config.hpp"
#include "lora/peft/module_selection.hpp"

namespace lora::models {

/// Says which modules of a BERT model there are besides embeddings and encoder.
struct BertParts {
  std::string prefix = {};  ///< before the encoder's modules: "bert." under a head
  bool pooler = true;
  bool classifier = false;
};

/// Lists the modules of a BERT model in the order of PyTorch's named_modules(), blocks included.
[[nodiscard]] inline std::vector<peft::ModuleName> bert_outline(const BertConfig& config,
                                                                const BertParts& parts) {
  using Kind = peft::ModuleKind;
  std::vector<peft::ModuleName> modules{{"", Kind::no_layer}};
  const std::string& prefix = parts.prefix;
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
  return modules;
}

}  // namespace lora::models
