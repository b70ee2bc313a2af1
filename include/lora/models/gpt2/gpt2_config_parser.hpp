#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lora/models/common/config_fields.hpp"
#include "lora/models/common/quantisation_config.hpp"
#include "lora/models/gpt2/gpt2_config.hpp"

namespace lora::models {

namespace detail {

/// A reader of GPT-2's config.json.
class GPT2ConfigReader {
 public:
  explicit GPT2ConfigReader(const ConfigFields& fields) : fields_(fields) {}

  [[nodiscard]] GPT2Config read() {
    if (!fields_.has("model_type")) fields_.fail("has no \"model_type\", expected gpt2");
    if (!io::is_text(fields_["model_type"], "gpt2")) fields_.unexpected("model_type", "gpt2");
    refuse_what_is_not_built();
    read_sizes();
    read_switches();
    read_tokens();
    try {
      validate(config_, "config");
    } catch (const ConfigError& error) {
      fields_.fail(error.what());
    }
    return config_;
  }

 private:
  void refuse_what_is_not_built() const {
    bool cross = false;
    fields_.read_flag("add_cross_attention", cross);
    if (cross)
      fields_.unexpected("add_cross_attention", "false: attention to an encoder is not built");
    refuse_other_quantisations(fields_);
    if (fields_.has("pruned_heads") && !fields_["pruned_heads"].empty())
      fields_.unexpected("pruned_heads", "none: layers that lack heads are not built");
  }

  // Under the name that all of transformers' models have too, as its attribute_map reads it.
  void read_size(const char* key, const char* common, Index& value, Index least, Index most) const {
    fields_.read_size(common, value, least, most);
    fields_.read_size(key, value, least, most);
  }

  void read_sizes() {
    GPT2Config& c = config_;
    fields_.read_size("vocab_size", c.vocab_size, 1, 100'000'000);
    read_size("n_positions", "max_position_embeddings", c.n_positions, 1, 1'000'000'000);
    read_size("n_embd", "hidden_size", c.n_embd, 1, 1'000'000);
    read_size("n_layer", "num_hidden_layers", c.n_layer, 0, 10'000);
    read_size("n_head", "num_attention_heads", c.n_head, 1, 1'000'000);
    c.n_inner = 4 * c.n_embd;
    fields_.read_size("n_inner", c.n_inner, 1, 10'000'000);
    fields_.read_small("layer_norm_epsilon", c.layer_norm_epsilon);
    fields_.read_small("initializer_range", c.initializer_range);
  }

  void read_switches() {
    GPT2Config& c = config_;
    fields_.read_activation("activation_function", c.activation_function);
    fields_.read_dropout("resid_pdrop", c.resid_pdrop);
    fields_.read_dropout("embd_pdrop", c.embd_pdrop);
    fields_.read_dropout("attn_pdrop", c.attn_pdrop);
    fields_.read_flag("scale_attn_weights", c.scale_attn_weights);
    fields_.read_flag("scale_attn_by_inverse_layer_idx", c.scale_attn_by_inverse_layer_idx);
    fields_.read_flag("tie_word_embeddings", c.tie_word_embeddings);
  }

  // transformers writes the ids of GPT-2's vocabulary for one of any size.
  [[nodiscard]] bool has_token(int id) const { return id < config_.vocab_size; }

  [[nodiscard]] std::optional<int> token(const char* key) const {
    const std::optional<int> id = fields_.token(key, any_token);
    return id && has_token(*id) ? id : std::nullopt;
  }

  void read_tokens() {
    const bool has_default = has_token(end_of_text);
    config_.bos_token_id = token("bos_token_id");
    config_.pad_token_id = token("pad_token_id");
    if (has_default && !fields_.mentions("bos_token_id")) config_.bos_token_id = end_of_text;
    if (has_default && !fields_.mentions("eos_token_id")) config_.eos_token_ids = {end_of_text};
    for (const int id : fields_.tokens("eos_token_id", any_token))
      if (has_token(id)) config_.eos_token_ids.push_back(id);
  }

  static constexpr Index any_token = 100'000'000;
  static constexpr int end_of_text = 50256;  // <|endoftext|>, the default of GPT2Config

  const ConfigFields& fields_;
  GPT2Config config_;
};

}  // namespace detail

inline GPT2Config parse_gpt2_config(std::string_view text, const std::string& where) {
  const ConfigFields fields(text, where);
  return detail::GPT2ConfigReader(fields).read();
}

inline GPT2Config read_gpt2_config(const std::filesystem::path& directory) {
  const ConfigFields fields = read_config_fields(directory);
  return detail::GPT2ConfigReader(fields).read();
}

}  // namespace lora::models
