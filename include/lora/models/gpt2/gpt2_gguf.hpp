#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "lora/io/gguf/gguf_reader.hpp"
#include "lora/models/common/gguf_fields.hpp"
#include "lora/models/common/gguf_weights.hpp"
#include "lora/models/gpt2/gpt2_config.hpp"

namespace lora::models {

/// The modules of a layer, "transformer.h.N." and "blk.N." before them. Each has a weight and a
/// bias.
inline constexpr std::array<GgufName, 6> gpt2_gguf_names{{{"ln_1", "attn_norm"},
                                                          {"attn.c_attn", "attn_qkv"},
                                                          {"attn.c_proj", "attn_output"},
                                                          {"ln_2", "ffn_norm"},
                                                          {"mlp.c_fc", "ffn_up"},
                                                          {"mlp.c_proj", "ffn_down"}}};

/// Reads the settings of a GPT-2 from the keys of its GGUF file. What no key says is as llama.cpp
/// computes it: the activation is gelu_tanh, scores are divided by sqrt(head_features). Dropouts
/// are GPT2Config's. Throws FileError for what is missing or out of range, and for what is not
/// built, which it names.
[[nodiscard]] inline GPT2Config read_gpt2_config(const io::GgufReader& file) {
  const GgufFields fields(file, {"gpt2"});
  GPT2Config config;
  config.vocab_size = fields.vocab_size();
  config.n_positions = fields.size("context_length", 1'000'000'000);
  config.n_embd = fields.size("embedding_length", 1'000'000);
  config.n_layer = fields.layers();
  config.n_head = fields.size("attention.head_count", 1'000'000);
  config.n_inner = fields.size("feed_forward_length", 10'000'000);
  config.layer_norm_epsilon = fields.small("attention.layer_norm_epsilon");
  config.tie_word_embeddings = !fields.has_tensor("output.weight");
  fields.read_tokens(config);
  try {
    validate(config, "config");
  } catch (const ConfigError& error) {
    fields.fail(error.what());
  }
  if (fields.has("attention.head_count_kv") &&
      fields.size("attention.head_count_kv", 1'000'000) != config.n_head)
    fields.fail("heads share their keys, which is not built for GPT-2");
  for (const char* name : {"attention.key_length", "attention.value_length"})
    if (fields.has(name) && fields.size(name, 1'000'000) != config.head_features())
      fields.fail(message(fields.key(name), " is not ", config.head_features(),
                          ", n_embd / n_head, which is not built for GPT-2"));
  return config;
}

/// Returns where the tensors of a GPT-2 of these settings lie in a GGUF file, by Hugging Face's
/// names. A head that is tied to the embeddings has no place.
[[nodiscard]] inline std::map<std::string, GgufPlace> gpt2_gguf_places(const GPT2Config& config) {
  std::map<std::string, GgufPlace> places{{"transformer.wte.weight", {"token_embd.weight"}},
                                          {"transformer.wpe.weight", {"position_embd.weight"}},
                                          {"transformer.ln_f.weight", {"output_norm.weight"}},
                                          {"transformer.ln_f.bias", {"output_norm.bias"}}};
  if (!config.tie_word_embeddings) places["lm_head.weight"] = {"output.weight"};
  for (Index i = 0; i < config.n_layer; ++i)
    for (const auto& [module, gguf] : gpt2_gguf_names)
      for (const char* kind : {".weight", ".bias"})
        places[message("transformer.h.", i, ".", module, kind)] = {
            message("blk.", i, ".", gguf, kind)};
  return places;
}

/// Finds the tensors of a GPT-2 of these settings in its GGUF file. Throws FileError for one that
/// is missing, and for one that such a model does not have.
[[nodiscard]] inline GgufWeights gpt2_gguf_weights(std::shared_ptr<const io::GgufReader> file,
                                                   const GPT2Config& config) {
  GgufWeights weights(std::move(file), gpt2_gguf_places(config));
  weights.refuse_others("gpt2");
  return weights;
}

}  // namespace lora::models
