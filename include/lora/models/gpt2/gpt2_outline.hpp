#pragma once

#include <string>

#include "lora/models/common/model_outline.hpp"
#include "lora/models/gpt2/gpt2_config.hpp"

namespace lora::models {

/// Outlines a GPT-2 with its head (transformers' GPT2LMHeadModel).
[[nodiscard]] inline ModelOutline gpt2_outline(const GPT2Config& config) {
  using Kind = peft::ModuleKind;
  ModelOutline outline{.model_type = "gpt2",
                       .top = "transformer.ln_f",
                       .input_embedding = "transformer.wte",
                       .output_embedding = "lm_head",
                       .invokes_adapters = true};
  const auto add = [&](const std::string& name, Kind kind = Kind::no_layer) {
    outline.modules.push_back({name, kind});
  };
  add("");
  add("transformer");
  add("transformer.wte", Kind::other_layer);
  add("transformer.wpe", Kind::other_layer);
  add("transformer.drop");
  add("transformer.h");
  for (Index i = 0; i < config.n_layer; ++i) {
    const std::string layer = message("transformer.h.", i);
    outline.blocks.push_back(layer);
    add(layer);
    add(layer + ".ln_1");
    add(layer + ".attn");
    add(layer + ".attn.c_attn", Kind::conv1d);
    add(layer + ".attn.c_proj", Kind::conv1d);
    add(layer + ".attn.attn_dropout");
    add(layer + ".attn.resid_dropout");
    add(layer + ".ln_2");
    add(layer + ".mlp");
    add(layer + ".mlp.c_fc", Kind::conv1d);
    add(layer + ".mlp.c_proj", Kind::conv1d);
    add(layer + ".mlp.act");
    add(layer + ".mlp.dropout");
  }
  add("transformer.ln_f");
  add("lm_head", Kind::linear);
  return outline;
}

}  // namespace lora::models
