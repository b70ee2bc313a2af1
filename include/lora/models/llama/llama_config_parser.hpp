#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "lora/models/common/config_fields.hpp"
#include "lora/models/common/quantisation_config.hpp"
#include "lora/models/llama/llama_config.hpp"
#include "lora/models/llama/llama_rope_parser.hpp"

namespace lora::models {

namespace detail {

/// A reader of the config.json of Llama's family.
class LlamaConfigReader {
 public:
  explicit LlamaConfigReader(const ConfigFields& fields) : fields_(fields) {}

  [[nodiscard]] LlamaConfig read() {
    read_type();
    refuse_what_is_not_built();
    read_sizes();
    read_switches();
    read_windows();
    config_.rope = read_rope(fields_, config_.max_position_embeddings);
    read_tokens();
    try {
      validate(config_, "config");
    } catch (const ConfigError& error) {
      fields_.fail(error.what());
    }
    return config_;
  }

 private:
  [[nodiscard]] bool is(std::string_view type) const { return config_.model_type == type; }
  [[nodiscard]] bool is_qwen() const { return is("qwen2") || is("qwen3"); }

  void read_type() {
    if (!fields_.has("model_type"))
      fields_.fail("has no \"model_type\", expected llama, mistral, qwen2 or qwen3");
    for (const char* type : {"llama", "mistral", "qwen2", "qwen3"})
      if (io::is_text(fields_["model_type"], type)) {
        config_.model_type = type;
        return;
      }
    fields_.unexpected("model_type",
                       "llama, mistral, qwen2 or qwen3: other decoders (Gemma, mixtures of "
                       "experts, SmolLM3 with layers without positions) are not built");
  }

  void refuse_what_is_not_built() const {
    for (const char* key : {"num_local_experts", "num_experts", "no_rope_layers"})
      if (fields_.has(key) && !(fields_[key].is_array() && fields_[key].empty()))
        fields_.unexpected(key, "none: it is not built");
    refuse_other_quantisations(fields_);
    refuse_partial_rotation(fields_);
    if (fields_.has("pretraining_tp") && fields_["pretraining_tp"] != io::Json(1) &&
        !fields_["pretraining_tp"].is_number())
      fields_.unexpected("pretraining_tp", "a number");
  }

  void read_sizes() {
    LlamaConfig& c = config_;
    if (is("mistral")) c.intermediate_size = 14336;
    if (is_qwen()) c.intermediate_size = 22016, c.vocab_size = 151936;
    if (is("mistral")) c.max_position_embeddings = 131072;
    if (is_qwen()) c.max_position_embeddings = 32768;
    fields_.read_size("vocab_size", c.vocab_size, 1, 100'000'000);
    fields_.read_size("hidden_size", c.hidden_size, 1, 1'000'000);
    fields_.read_size("intermediate_size", c.intermediate_size, 1, 10'000'000);
    fields_.read_size("num_hidden_layers", c.num_hidden_layers, 0, 10'000);
    fields_.read_size("num_attention_heads", c.num_attention_heads, 1, 1'000'000);
    // Absent, it is the class's own number; null, that of the query heads.
    c.num_key_value_heads = c.num_attention_heads;
    if (!fields_.is_null("num_key_value_heads")) {
      if (is("mistral")) c.num_key_value_heads = 8;
      if (is_qwen()) c.num_key_value_heads = 32;
    }
    fields_.read_size("num_key_value_heads", c.num_key_value_heads, 1, 1'000'000);
    fields_.read_size("max_position_embeddings", c.max_position_embeddings, 1, 1'000'000'000);
    if (is("qwen3") && !fields_.is_null("head_dim")) {
      c.head_dim = 128;
    } else if (!fields_.has("head_dim")) {
      if (c.hidden_size % c.num_attention_heads != 0)
        fields_.fail(message("hidden_size is ", c.hidden_size, ", expected a multiple of the ",
                             c.num_attention_heads, " num_attention_heads, or a head_dim"));
      c.head_dim = c.hidden_size / c.num_attention_heads;
    }
    fields_.read_size("head_dim", c.head_dim, 2, 1'000'000);
    fields_.read_small("rms_norm_eps", c.rms_norm_eps);
    fields_.read_small("initializer_range", c.initializer_range);
    fields_.read_dropout("attention_dropout", c.attention_dropout);
    fields_.read_activation("hidden_act", c.hidden_act);
    if (c.hidden_act != Activation::silu && c.hidden_act != Activation::gelu &&
        c.hidden_act != Activation::gelu_tanh)
      fields_.unexpected("hidden_act", "silu or a gelu");
  }

  [[nodiscard]] bool flag(const char* key) const {
    bool value = false;
    fields_.read_flag(key, value);
    return value;
  }

  // Which of the biases there are depends on the type; Qwen2 reads no field at all.
  void read_switches() {
    const bool attention = (is("llama") || is("qwen3")) && flag("attention_bias");
    config_.attention_bias = is("qwen2") || attention;
    config_.output_bias = attention;
    config_.mlp_bias = is("llama") && flag("mlp_bias");
    config_.query_key_norm = is("qwen3");
    config_.tie_word_embeddings = flag("tie_word_embeddings");
  }

  void read_windows() {
    if (is("llama")) return;
    Index window = is("mistral") ? 4096 : 0;
    if (fields_.is_null("sliding_window")) window = 0;
    fields_.read_size("sliding_window", window, 1, 1'000'000'000);
    if (is_qwen() && !flag("use_sliding_window")) window = 0;
    if (window == 0) return;
    Index first = is("mistral") ? 0 : 28;
    if (is_qwen()) fields_.read_size("max_window_layers", first, 0, 1'000'000);
    for (Index i = 0; i < config_.num_hidden_layers; ++i)
      config_.windows.push_back(i >= first ? std::optional(window) : std::nullopt);
    if (is_qwen() && fields_.has("layer_types")) read_layer_types(window);
  }

  void read_layer_types(Index window) {
    const io::Json& types = fields_["layer_types"];
    if (!types.is_array() || types.size() != config_.windows.size())
      fields_.unexpected("layer_types", message("a list of ", config_.windows.size(), " types"));
    for (std::size_t i = 0; i < types.size(); ++i) {
      const bool sliding = io::is_text(types[i], "sliding_attention");
      if (!sliding && !io::is_text(types[i], "full_attention"))
        fields_.fail(message("layer_types[", i, "] is ", io::excerpt(types[i]),
                             ", expected full_attention or sliding_attention"));
      config_.windows[i] = sliding ? std::optional(window) : std::nullopt;
    }
  }

  void read_tokens() {
    config_.bos_token_id = fields_.token("bos_token_id", config_.vocab_size);
    config_.pad_token_id = fields_.token("pad_token_id", config_.vocab_size);
    config_.eos_token_ids = fields_.tokens("eos_token_id", config_.vocab_size);
  }

  const ConfigFields& fields_;
  LlamaConfig config_;
};

}  // namespace detail

inline LlamaConfig parse_llama_config(std::string_view text, const std::string& where) {
  const ConfigFields fields(text, where);
  return detail::LlamaConfigReader(fields).read();
}

inline LlamaConfig read_llama_config(const std::filesystem::path& directory) {
  const ConfigFields fields = read_config_fields(directory);
  return detail::LlamaConfigReader(fields).read();
}

}  // namespace lora::models
