#pragma once

#include <string>
#include <vector>

#include "lora/models/common/model_outline.hpp"
#include "lora/models/llama/llama_config.hpp"

namespace lora::models {

/// Outlines a causal language model of Llama's family.
[[nodiscard]] inline ModelOutline llama_outline(const LlamaConfig& config) {
  using Kind = peft::ModuleKind;
  ModelOutline outline{.model_type = config.model_type,
                       .top = "model.norm",
                       .input_embedding = "model.embed_tokens",
                       .output_embedding = "lm_head",
                       .invokes_adapters = true,
                       .replicates_layers = true};
  const auto add = [&](const std::string& name, Kind kind = Kind::no_layer) {
    outline.modules.push_back({name, kind});
  };
  add("");
  add("model");
  add("model.embed_tokens", Kind::other_layer);
  add("model.layers");
  for (Index i = 0; i < config.num_hidden_layers; ++i) {
    const std::string layer = message("model.layers.", i);
    outline.blocks.push_back(layer);
    add(layer);
    add(layer + ".self_attn");
    for (const char* part : {"q_proj", "k_proj", "v_proj", "o_proj"})
      add(layer + ".self_attn." + part, Kind::linear);
    if (config.query_key_norm)
      for (const char* part : {"q_norm", "k_norm"}) add(layer + ".self_attn." + part);
    add(layer + ".mlp");
    for (const char* part : {"gate_proj", "up_proj", "down_proj"})
      add(layer + ".mlp." + part, Kind::linear);
    add(layer + ".mlp.act_fn");
    add(layer + ".input_layernorm");
    add(layer + ".post_attention_layernorm");
  }
  add("model.norm");
  add("model.rotary_emb");
  add("lm_head", Kind::linear);
  return outline;
}

}  // namespace lora::models
