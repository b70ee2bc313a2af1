#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/nn/activation.hpp"
#include "lora/nn/rotary_frequencies.hpp"

namespace lora::models {

/// The settings of a decoder of Llama's family: Llama 1 to 3.2, Mistral, Qwen2, Qwen2.5, Qwen3,
/// SmolLM2, TinyLlama. The words are those of a Hugging Face config.json, the defaults
/// LlamaConfig's of transformers 5.24.
struct LlamaConfig {
  std::string model_type = "llama";  ///< "llama", "mistral", "qwen2" or "qwen3"
  Index vocab_size = 32000;
  Index hidden_size = 4096;
  Index intermediate_size = 11008;
  Index num_hidden_layers = 32;
  Index num_attention_heads = 32;
  Index num_key_value_heads = 32;
  Index head_dim = 128;  ///< need not be hidden_size / num_attention_heads
  Activation hidden_act = Activation::silu;
  double rms_norm_eps = 1e-6;
  Index max_position_embeddings = 2048;
  RotaryConfig rope = {};
  bool attention_bias = false;  ///< of q_proj, k_proj and v_proj
  bool output_bias = false;     ///< of o_proj
  bool mlp_bias = false;        ///< of gate_proj, up_proj and down_proj
  bool query_key_norm = false;  ///< RMS norms on each head of queries and keys: Qwen3
  bool tie_word_embeddings = false;
  double attention_dropout = 0;
  double initializer_range = 0.02;
  std::vector<std::optional<Index>> windows = {};  ///< of each layer: sliding_window; empty: none
  std::vector<int> eos_token_ids = {};             ///< the ends of a text, if the file says any
  std::optional<int> bos_token_id = {};
  std::optional<int> pad_token_id = {};

  /// Returns the sliding window of layer `i`, nothing where it sees the whole text.
  [[nodiscard]] std::optional<Index> window(Index i) const {
    return windows.empty() ? std::nullopt : windows[static_cast<std::size_t>(i)];
  }

  /// Returns the most tokens that a text may have: max_position_embeddings, or what the scaling of
  /// rotary positions stretches them to.
  [[nodiscard]] Index longest_text() const {
    if (rope.scaling == RotaryScaling::none) return max_position_embeddings;
    const bool original =
        rope.scaling == RotaryScaling::llama3 || rope.scaling == RotaryScaling::yarn;
    const Index from = original ? rope.original_positions : max_position_embeddings;
    return std::max(max_position_embeddings,
                    static_cast<Index>(static_cast<double>(from) * rope.factor));
  }

  [[nodiscard]] Index query_features() const { return num_attention_heads * head_dim; }
  [[nodiscard]] Index key_features() const { return num_key_value_heads * head_dim; }
};

/// Throws ConfigError, naming `where`, for sizes that no decoder has.
inline void validate(const LlamaConfig& config, std::string_view where) {
  const auto require = [&](bool good, std::string_view what) {
    if (!good) throw ConfigError(message(where, ": ", what));
  };
  for (const auto& [name, size] : {std::pair<const char*, Index>{"vocab_size", config.vocab_size},
                                   {"hidden_size", config.hidden_size},
                                   {"intermediate_size", config.intermediate_size},
                                   {"num_attention_heads", config.num_attention_heads},
                                   {"num_key_value_heads", config.num_key_value_heads},
                                   {"head_dim", config.head_dim}})
    require(size >= 1, message(name, " is ", size, ", expected at least 1"));
  require(
      config.num_attention_heads % config.num_key_value_heads == 0,
      message("num_attention_heads is ", config.num_attention_heads,
              ", expected a multiple of the ", config.num_key_value_heads, " num_key_value_heads"));
  require(config.head_dim % 2 == 0,
          message("head_dim is ", config.head_dim, ", expected an even number"));
  require(config.windows.empty() ||
              static_cast<Index>(config.windows.size()) == config.num_hidden_layers,
          message("windows are ", config.windows.size(), ", expected one for each of ",
                  config.num_hidden_layers, " layers"));
  validate(config.rope, where);
}

/// Reads the JSON text of a config.json of transformers 4 or 5. Throws FileError, beginning with
/// `where`, for text that is not JSON, a value out of range, and what is not built here, which it
/// names: Gemma, mixtures of experts, longrope, layers without positions.
[[nodiscard]] LlamaConfig parse_llama_config(std::string_view text, const std::string& where);

/// Reads directory/config.json. Throws FileError; see parse_llama_config.
[[nodiscard]] LlamaConfig read_llama_config(const std::filesystem::path& directory);

}  // namespace lora::models

#include "lora/models/llama/llama_config_parser.hpp"
