#pragma once

#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "lora/io/gguf/gguf_reader.hpp"
#include "lora/models/common/gguf_fields.hpp"
#include "lora/models/common/gguf_weights.hpp"
#include "lora/models/llama/llama_config.hpp"

namespace lora::models {

/// The modules of a layer, "model.layers.N." and "blk.N." before them.
inline constexpr std::array<GgufName, 11> llama_gguf_names{
    {{"self_attn.q_proj", "attn_q"},
     {"self_attn.k_proj", "attn_k"},
     {"self_attn.v_proj", "attn_v"},
     {"self_attn.o_proj", "attn_output"},
     {"self_attn.q_norm", "attn_q_norm"},
     {"self_attn.k_norm", "attn_k_norm"},
     {"mlp.gate_proj", "ffn_gate"},
     {"mlp.up_proj", "ffn_up"},
     {"mlp.down_proj", "ffn_down"},
     {"input_layernorm", "attn_norm"},
     {"post_attention_layernorm", "ffn_norm"}}};

/// Tells whether llama.cpp interleaves the halves of a module's heads, for positions turned in
/// pairs: queries and keys of the architecture "llama", which Mistral and SmolLM2 are too.
[[nodiscard]] inline bool interleaves_heads(std::string_view architecture,
                                            std::string_view module) {
  return architecture == "llama" && (module == "self_attn.q_proj" || module == "self_attn.k_proj");
}

/// Returns llama.cpp's name of a model's architecture: Mistral is a llama there.
[[nodiscard]] inline std::string gguf_architecture(const LlamaConfig& config) {
  return config.model_type == "mistral" ? "llama" : config.model_type;
}

namespace detail {

/// A reader of the keys that llama.cpp keeps a model's settings under.
class LlamaGgufConfig {
 public:
  explicit LlamaGgufConfig(const io::GgufReader& file)
      : file_(file), fields_(file, {"llama", "qwen2", "qwen3"}) {}

  [[nodiscard]] LlamaConfig read() const {
    LlamaConfig config;
    config.model_type = fields_.architecture();
    config.vocab_size = fields_.vocab_size();
    config.max_position_embeddings = fields_.size("context_length", 1'000'000'000);
    config.hidden_size = fields_.size("embedding_length", 1'000'000);
    config.num_hidden_layers = fields_.layers();
    config.intermediate_size = fields_.size("feed_forward_length", 10'000'000);
    config.num_attention_heads = fields_.size("attention.head_count", 1'000'000);
    config.num_key_value_heads = config.num_attention_heads;
    if (fields_.has("attention.head_count_kv"))
      config.num_key_value_heads = fields_.size("attention.head_count_kv", 1'000'000);
    config.head_dim = config.hidden_size / config.num_attention_heads;
    if (fields_.has("attention.key_length"))
      config.head_dim = fields_.size("attention.key_length", 1'000'000);
    if (fields_.has("attention.value_length") &&
        fields_.size("attention.value_length", 1'000'000) != config.head_dim)
      fields_.fail("values are of another length than keys, which is not built");
    if (fields_.has("rope.dimension_count") &&
        fields_.size("rope.dimension_count", 1'000'000) != config.head_dim)
      fields_.fail("positions turn a part of each head, which is not built");
    if (fields_.has("expert_count") &&
        fields_.metadata().integer(fields_.key("expert_count"), 0, 1'000'000) != 0)
      fields_.fail("it is a mixture of experts, which is not built");
    config.rms_norm_eps = fields_.small("attention.layer_norm_rms_epsilon");
    config.attention_bias = fields_.has_tensor("blk.0.attn_q.bias");
    config.output_bias = fields_.has_tensor("blk.0.attn_output.bias");
    config.mlp_bias = fields_.has_tensor("blk.0.ffn_gate.bias");
    config.query_key_norm = fields_.has_tensor("blk.0.attn_q_norm.weight");
    config.tie_word_embeddings = !fields_.has_tensor("output.weight");
    config.rope = rope(config);
    fields_.read_tokens(config);
    try {
      validate(config, "config");
    } catch (const ConfigError& error) {
      fields_.fail(error.what());
    }
    return config;
  }

 private:
  [[nodiscard]] RotaryConfig rope(const LlamaConfig& config) const {
    RotaryConfig rope;
    if (fields_.has("rope.freq_base"))
      rope.theta = fields_.metadata().number(fields_.key("rope.freq_base"));
    rope.max_positions = config.max_position_embeddings;
    rope.original_positions = config.max_position_embeddings;
    if (file_.tensors().contains("rope_freqs.weight")) {
      const io::GgufTensor& factors = file_.tensor("rope_freqs.weight");
      if (factors.shape != io::Shape{config.head_dim / 2} || factors.type != io::GgufType::F32)
        fields_.fail("tensor \"rope_freqs.weight\" is of shape " + io::shape_text(factors.shape) +
                     ", expected " + io::shape_text({config.head_dim / 2}) + " of type F32");
      for (Index i = 0; i < factors.size(); ++i)
        rope.frequency_factors.push_back(
            double{kernels::load<float>(factors.bytes.data() + 4 * i)});
    }
    // Without a type llama.cpp scales linearly, by a factor that older files keep under another
    // key.
    const bool typed = fields_.has("rope.scaling.type");
    const char* factor = !fields_.has("rope.scaling.factor") && fields_.has("rope.scale_linear")
                             ? "rope.scale_linear"
                             : "rope.scaling.factor";
    if (!typed && !fields_.has(factor)) return rope;
    const std::string_view type =
        typed ? fields_.metadata().text(fields_.key("rope.scaling.type")) : "linear";
    if (type == "none") return rope;
    if (type != "linear" && type != "yarn")
      fields_.fail("rope.scaling.type is " + in_quotes(type) + ", expected none, linear or yarn");
    rope.scaling = type == "linear" ? RotaryScaling::linear : RotaryScaling::yarn;
    rope.factor = fields_.metadata().number(fields_.key(factor));
    if (fields_.has("rope.scaling.original_context_length"))
      rope.original_positions = fields_.size("rope.scaling.original_context_length", 1'000'000'000);
    for (const auto& [name, value] : {std::pair<const char*, double*>{"beta_fast", &rope.beta_fast},
                                      {"beta_slow", &rope.beta_slow}})
      if (fields_.has(message("rope.scaling.yarn_", name)))
        *value = fields_.metadata().number(fields_.key(message("rope.scaling.yarn_", name)));
    if (fields_.has("rope.scaling.attn_factor") && rope.scaling == RotaryScaling::yarn)
      rope.attention_factor = fields_.metadata().number(fields_.key("rope.scaling.attn_factor")) *
                              (0.1 * std::log(rope.factor) + 1);
    return rope;
  }

  const io::GgufReader& file_;
  GgufFields fields_;
};

}  // namespace detail

/// Reads the settings of a model of Llama's family from the keys of its GGUF file. Throws FileError
/// for what is missing or out of range, and for what is not built, which it names.
[[nodiscard]] inline LlamaConfig read_llama_config(const io::GgufReader& file) {
  return detail::LlamaGgufConfig(file).read();
}

/// Returns where the tensors of a model of these settings lie in a GGUF file, by Hugging Face's
/// names. A head that is tied to the embeddings has no place.
[[nodiscard]] inline std::map<std::string, GgufPlace> llama_gguf_places(const LlamaConfig& config) {
  const std::string architecture = gguf_architecture(config);
  std::map<std::string, GgufPlace> places{{"model.embed_tokens.weight", {"token_embd.weight"}},
                                          {"model.norm.weight", {"output_norm.weight"}}};
  if (!config.tie_word_embeddings) places["lm_head.weight"] = {"output.weight"};
  for (Index i = 0; i < config.num_hidden_layers; ++i)
    for (const auto& [module, gguf] : llama_gguf_names) {
      if (module.ends_with("_norm") && !config.query_key_norm) continue;
      const std::string name = message("model.layers.", i, ".", module);
      const std::string stored = message("blk.", i, ".", gguf);
      const Index head_rows = interleaves_heads(architecture, module) ? config.head_dim : 0;
      places[name + ".weight"] = {stored + ".weight", head_rows};
      const bool output = module == "self_attn.o_proj";
      const bool attention =
          !output && module.starts_with("self_attn") && !module.ends_with("norm");
      if ((output && config.output_bias) || (attention && config.attention_bias) ||
          (module.starts_with("mlp.") && config.mlp_bias))
        places[name + ".bias"] = {stored + ".bias", head_rows};
    }
  return places;
}

/// Finds the tensors of a model of these settings in its GGUF file. Throws FileError for one that
/// is missing, and for one that such a model does not have.
[[nodiscard]] inline GgufWeights llama_gguf_weights(std::shared_ptr<const io::GgufReader> file,
                                                    const LlamaConfig& config) {
  GgufWeights weights(std::move(file), llama_gguf_places(config));
  weights.refuse_others(config.model_type, "rope_freqs.weight");
  return weights;
}

}  // namespace lora::models
