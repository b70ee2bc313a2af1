#pragma once

#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "lora/io/gguf/gguf_reader.hpp"
#include "lora/models/common/gguf_weights.hpp"
#include "lora/models/llama/llama_config.hpp"

namespace lora::models {

/// A module of Llama's family in Hugging Face's words and in llama.cpp's.
struct LlamaGgufName {
  std::string_view module;  ///< "self_attn.q_proj"
  std::string_view gguf;    ///< "attn_q"
};

/// The modules of a layer, "model.layers.N." and "blk.N." before them.
inline constexpr std::array<LlamaGgufName, 11> llama_gguf_names{
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

namespace detail {

/// A reader of the keys that llama.cpp keeps a model's settings under.
class LlamaGgufConfig {
 public:
  explicit LlamaGgufConfig(const io::GgufReader& file)
      : file_(file),
        metadata_(file.metadata()),
        architecture_(metadata_.text("general.architecture")) {
    if (architecture_ != "llama" && architecture_ != "qwen2" && architecture_ != "qwen3")
      metadata_.fail("general.architecture is " + in_quotes(architecture_) +
                     ", expected llama, qwen2 or qwen3: others are not built");
    if (metadata_.has("general.type") && metadata_.text("general.type") != "model")
      metadata_.fail("general.type is " + in_quotes(metadata_.text("general.type")) +
                     ", expected model");
  }

  [[nodiscard]] LlamaConfig read() const {
    LlamaConfig config;
    config.model_type = architecture_;
    config.vocab_size = file_.tensor("token_embd.weight").shape.front();
    config.max_position_embeddings = size("context_length", 1'000'000'000);
    config.hidden_size = size("embedding_length", 1'000'000);
    config.num_hidden_layers = static_cast<Index>(metadata_.integer(key("block_count"), 0, 10'000));
    config.intermediate_size = size("feed_forward_length", 10'000'000);
    config.num_attention_heads = size("attention.head_count", 1'000'000);
    config.num_key_value_heads = config.num_attention_heads;
    if (has("attention.head_count_kv"))
      config.num_key_value_heads = size("attention.head_count_kv", 1'000'000);
    config.head_dim = config.hidden_size / config.num_attention_heads;
    if (has("attention.key_length")) config.head_dim = size("attention.key_length", 1'000'000);
    if (has("attention.value_length") &&
        size("attention.value_length", 1'000'000) != config.head_dim)
      metadata_.fail("values are of another length than keys, which is not built");
    if (has("rope.dimension_count") && size("rope.dimension_count", 1'000'000) != config.head_dim)
      metadata_.fail("positions turn a part of each head, which is not built");
    if (has("expert_count") && metadata_.integer(key("expert_count"), 0, 1'000'000) != 0)
      metadata_.fail("it is a mixture of experts, which is not built");
    config.rms_norm_eps = metadata_.number(key("attention.layer_norm_rms_epsilon"));
    const auto& tensors = file_.tensors();
    config.attention_bias = tensors.contains("blk.0.attn_q.bias");
    config.output_bias = tensors.contains("blk.0.attn_output.bias");
    config.mlp_bias = tensors.contains("blk.0.ffn_gate.bias");
    config.query_key_norm = tensors.contains("blk.0.attn_q_norm.weight");
    config.tie_word_embeddings = !tensors.contains("output.weight");
    config.rope = rope(config);
    read_tokens(config);
    try {
      validate(config, "config");
    } catch (const ConfigError& error) {
      metadata_.fail(error.what());
    }
    return config;
  }

 private:
  [[nodiscard]] std::string key(std::string_view name) const {
    return architecture_ + "." + std::string(name);
  }
  [[nodiscard]] bool has(std::string_view name) const { return metadata_.has(key(name)); }
  [[nodiscard]] Index size(std::string_view name, Index most) const {
    return static_cast<Index>(metadata_.integer(key(name), 1, most));
  }

  [[nodiscard]] RotaryConfig rope(const LlamaConfig& config) const {
    RotaryConfig rope;
    if (has("rope.freq_base")) rope.theta = metadata_.number(key("rope.freq_base"));
    rope.max_positions = config.max_position_embeddings;
    rope.original_positions = config.max_position_embeddings;
    if (file_.tensors().contains("rope_freqs.weight")) {
      const io::GgufTensor& factors = file_.tensor("rope_freqs.weight");
      if (factors.shape != io::Shape{config.head_dim / 2} || factors.type != io::GgufType::F32)
        metadata_.fail("tensor \"rope_freqs.weight\" is of shape " + io::shape_text(factors.shape) +
                       ", expected " + io::shape_text({config.head_dim / 2}) + " of type F32");
      for (Index i = 0; i < factors.size(); ++i)
        rope.frequency_factors.push_back(
            double{kernels::load<float>(factors.bytes.data() + 4 * i)});
    }
    if (!has("rope.scaling.type")) return rope;
    const std::string_view type = metadata_.text(key("rope.scaling.type"));
    if (type == "none") return rope;
    if (type != "linear" && type != "yarn")
      metadata_.fail("rope.scaling.type is " + in_quotes(type) + ", expected none, linear or yarn");
    rope.scaling = type == "linear" ? RotaryScaling::linear : RotaryScaling::yarn;
    rope.factor = metadata_.number(key("rope.scaling.factor"));
    if (has("rope.scaling.original_context_length"))
      rope.original_positions = size("rope.scaling.original_context_length", 1'000'000'000);
    for (const auto& [name, value] : {std::pair<const char*, double*>{"beta_fast", &rope.beta_fast},
                                      {"beta_slow", &rope.beta_slow}})
      if (has(message("rope.scaling.yarn_", name)))
        *value = metadata_.number(key(message("rope.scaling.yarn_", name)));
    if (has("rope.scaling.attn_factor") && rope.scaling == RotaryScaling::yarn)
      rope.attention_factor =
          metadata_.number(key("rope.scaling.attn_factor")) * (0.1 * std::log(rope.factor) + 1);
    return rope;
  }

  void read_tokens(LlamaConfig& config) const {
    const auto token = [&](const char* name) -> std::optional<int> {
      const std::string key = message("tokenizer.ggml.", name, "_token_id");
      if (!metadata_.has(key)) return std::nullopt;
      return static_cast<int>(metadata_.integer(key, 0, config.vocab_size - 1));
    };
    config.bos_token_id = token("bos");
    config.pad_token_id = token("padding");
    for (const char* name : {"eos", "eot"})
      if (const auto id = token(name);
          id && (config.eos_token_ids.empty() || config.eos_token_ids.front() != *id))
        config.eos_token_ids.push_back(*id);
  }

  const io::GgufReader& file_;
  const io::GgufMetadata& metadata_;
  std::string architecture_;
};

}  // namespace detail

/// Reads the settings of a model of Llama's family from the keys of its GGUF file. Throws FileError
/// for what is missing or out of range, and for what is not built, which it names.
[[nodiscard]] inline LlamaConfig read_llama_config(const io::GgufReader& file) {
  return detail::LlamaGgufConfig(file).read();
}

/// Finds the tensors of a model of these settings in its GGUF file. Throws FileError for one that
/// is missing, and for one that such a model does not have.
[[nodiscard]] inline GgufWeights llama_gguf_weights(std::shared_ptr<const io::GgufReader> file,
                                                    const LlamaConfig& config) {
  std::map<std::string, GgufPlace> places{{"model.embed_tokens.weight", {"token_embd.weight"}},
                                          {"model.norm.weight", {"output_norm.weight"}}};
  if (!config.tie_word_embeddings) places["lm_head.weight"] = {"output.weight"};
  for (Index i = 0; i < config.num_hidden_layers; ++i)
    for (const auto& [module, gguf] : llama_gguf_names) {
      if (module.ends_with("_norm") && !config.query_key_norm) continue;
      const std::string name = message("model.layers.", i, ".", module);
      const std::string stored = message("blk.", i, ".", gguf);
      const Index head_rows = interleaves_heads(config.model_type, module) ? config.head_dim : 0;
      places[name + ".weight"] = {stored + ".weight", head_rows};
      const bool output = module == "self_attn.o_proj";
      const bool attention =
          !output && module.starts_with("self_attn") && !module.ends_with("norm");
      if ((output && config.output_bias) || (attention && config.attention_bias) ||
          (module.starts_with("mlp.") && config.mlp_bias))
        places[name + ".bias"] = {stored + ".bias", head_rows};
    }
  std::map<std::string_view, int> known{{"rope_freqs.weight", 1}};
  for (const auto& [name, place] : places) known.emplace(place.name, 1);
  for (const auto& [name, tensor] : file->tensors())
    if (!known.contains(name))
      throw FileError(message(file->path().string(), ": tensor ", in_quotes(name),
                              " is none of a model of type ", config.model_type));
  return {std::move(file), std::move(places)};
}

}  // namespace lora::models
