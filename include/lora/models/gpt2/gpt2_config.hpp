#pragma once

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/nn/activation.hpp"

namespace lora::models {

/// The settings of a GPT-2 or DistilGPT-2. The words are those of a Hugging Face config.json, the
/// defaults GPT2Config's of transformers 5.24.
struct GPT2Config {
  Index vocab_size = 50257;
  Index n_positions = 1024;
  Index n_embd = 768;
  Index n_layer = 12;
  Index n_head = 12;
  Index n_inner = 3072;  ///< 4 n_embd where the file says null
  Activation activation_function = Activation::gelu_tanh;
  double resid_pdrop = 0.1;  ///< dropout of what each half of a layer adds
  double embd_pdrop = 0.1;   ///< dropout of the embeddings
  double attn_pdrop = 0.1;   ///< dropout of the attention's probabilities
  double layer_norm_epsilon = 1e-5;
  double initializer_range = 0.02;
  bool scale_attn_weights = true;                ///< scores are divided by sqrt(head_features)
  bool scale_attn_by_inverse_layer_idx = false;  ///< and by the layer's number, counted from 1
  bool tie_word_embeddings = true;
  std::vector<int> eos_token_ids = {};  ///< the ends of a text, if the vocabulary has any
  std::optional<int> bos_token_id = {};
  std::optional<int> pad_token_id = {};

  /// Returns the columns of one head.
  [[nodiscard]] Index head_features() const { return n_embd / n_head; }

  /// Returns the factor of queries times keys in layer `i`.
  [[nodiscard]] double attention_scaling(Index i) const {
    const double scaling =
        scale_attn_weights ? 1 / std::sqrt(static_cast<double>(head_features())) : 1;
    return scale_attn_by_inverse_layer_idx ? scaling / static_cast<double>(i + 1) : scaling;
  }
};

/// Throws ConfigError, naming `where`, for sizes that no GPT-2 has.
inline void validate(const GPT2Config& config, std::string_view where) {
  for (const auto& [name, size] : {std::pair<const char*, Index>{"vocab_size", config.vocab_size},
                                   {"n_positions", config.n_positions},
                                   {"n_embd", config.n_embd},
                                   {"n_head", config.n_head},
                                   {"n_inner", config.n_inner}})
    if (size < 1)
      throw ConfigError(message(where, ": ", name, " is ", size, ", expected at least 1"));
  if (config.n_embd % config.n_head != 0)
    throw ConfigError(message(where, ": n_embd is ", config.n_embd, ", expected a multiple of the ",
                              config.n_head, " n_head"));
}

/// Reads the JSON text of a config.json of transformers 4 or 5. reorder_and_upcast_attn changes
/// roundings alone and is not looked at; neither are ids of special tokens that the vocabulary does
/// not have, which small models' files name. Throws FileError, beginning with `where`, for text
/// that is not JSON, a value out of range, and what is not built here, which it names: cross
/// attention, quantised weights.
[[nodiscard]] GPT2Config parse_gpt2_config(std::string_view text, const std::string& where);

/// Reads directory/config.json. Throws FileError; see parse_gpt2_config.
[[nodiscard]] GPT2Config read_gpt2_config(const std::filesystem::path& directory);

}  // namespace lora::models

#include "lora/models/gpt2/gpt2_config_parser.hpp"
