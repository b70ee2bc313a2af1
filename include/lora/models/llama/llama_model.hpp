#pragma once

#include <filesystem>

#include "lora/frozen/packed_weight.hpp"
#include "lora/models/common/causal_decoder.hpp"
#include "lora/models/common/rotary_positions.hpp"
#include "lora/models/llama/llama_layer.hpp"
#include "lora/models/llama/llama_source.hpp"

namespace lora::models {

/// What a LlamaModel is made of; see CausalDecoder.
template <class T, class Frozen>
struct LlamaParts {
  using Scalar = T;
  using FrozenStorage = Frozen;
  using Config = LlamaConfig;
  using Block = LlamaLayer<T, Frozen>;
  using Norm = ModuleRMSNorm<T>;
  using Positions = RotaryPositions<T>;
  static constexpr const char* name = "LlamaModel";

  [[nodiscard]] static DecoderSizes sizes(const Config& config) {
    return {.vocab_size = config.vocab_size,
            .features = config.hidden_size,
            .layers = config.num_hidden_layers,
            .key_features = config.key_features(),
            .positions = config.longest_text()};
  }

  [[nodiscard]] static Positions positions(ModelBuilder<T>&, const Config& config) {
    return {config.head_dim, config.rope};
  }

  [[nodiscard]] static Block block(ModelBuilder<T>& builder, const Config& config, Index i) {
    return {builder, config, i};
  }

  [[nodiscard]] static Norm norm(ModelBuilder<T>& builder, const Config& config) {
    return {builder, "model.norm", config.hidden_size, config.rms_norm_eps};
  }
};

/// A causal language model of Llama's family (transformers' LlamaForCausalLM, MistralForCausalLM,
/// Qwen2ForCausalLM, Qwen3ForCausalLM), loaded from a Hugging Face directory (config.json and
/// model.safetensors or its shards) or from a GGUF file. What it computes stands in CausalDecoder.
///
/// `Frozen` stores the weights that do not train: PackedWeight<T> is the fastest for many tokens at
/// once, HalfWeight<T> takes half its memory and half its time for one; MappedWeight<T> leaves them
/// in the file's pages and copies nothing where the file's numbers are of type T. BlockWeight<T>
/// leaves them there in the file's own numbers: a GGUF's blocks, float32, float16, bfloat16.
/// NF4Weight<T>, FP4Weight<T> and Int8Weight<T> take what bitsandbytes stored, or round as it does;
/// embeddings and head then stay as in the file, see EndStorage. Adapters can be merged where W is
/// in memory of the model's own in T: PackedWeight and DenseWeight; a MappedWeight is read-only.
///
/// Rows are the tokens of a batch, text after text; N is their number, V the vocabulary's. Const
/// calls may come from several threads at once, each with a tape, Gradients or cache of its own
/// where they take them. A second call of the same shapes allocates nothing.
template <class T, class Frozen = PackedWeight<T>>
class LlamaModel : public CausalDecoder<LlamaModel<T, Frozen>, LlamaParts<T, Frozen>> {
  using Base = CausalDecoder<LlamaModel<T, Frozen>, LlamaParts<T, Frozen>>;

 public:
  /// Loads the model. Throws FileError for whatever is wrong with the files, ConfigError for
  /// options that do not fit the model.
  explicit LlamaModel(const std::filesystem::path& directory, const LlamaOptions& options = {})
      : LlamaModel(LlamaSource<T>(directory, options), options) {}

 private:
  LlamaModel(const LlamaSource<T>& source, const LlamaOptions& options)
      : Base(source, source.builder(options.seed), source.ends(), options.recompute_activations) {}
};

}  // namespace lora::models
