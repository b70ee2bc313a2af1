#pragma once

#include <filesystem>

#include "lora/frozen/packed_weight.hpp"
#include "lora/models/common/causal_decoder.hpp"
#include "lora/models/common/learned_positions.hpp"
#include "lora/models/gpt2/gpt2_layer.hpp"
#include "lora/models/gpt2/gpt2_source.hpp"

namespace lora::models {

/// What a GPT2Model is made of; see CausalDecoder.
template <class T, class Frozen>
struct GPT2Parts {
  using Scalar = T;
  using FrozenStorage = Frozen;
  using Config = GPT2Config;
  using Block = GPT2Layer<T, Frozen>;
  using Norm = ModuleLayerNorm<T>;
  using Positions = LearnedPositions<T>;
  static constexpr const char* name = "GPT2Model";

  [[nodiscard]] static DecoderSizes sizes(const Config& config) {
    return {.vocab_size = config.vocab_size,
            .features = config.n_embd,
            .layers = config.n_layer,
            .key_features = config.n_embd,
            .positions = config.n_positions};
  }

  [[nodiscard]] static Positions positions(ModelBuilder<T>& builder, const Config& config) {
    return {builder, "transformer.wpe", config.n_positions, config.n_embd, config.embd_pdrop};
  }

  [[nodiscard]] static Block block(ModelBuilder<T>& builder, const Config& config, Index i) {
    return {builder, config, i};
  }

  [[nodiscard]] static Norm norm(ModelBuilder<T>& builder, const Config& config) {
    return {builder, "transformer.ln_f", config.n_embd, config.layer_norm_epsilon};
  }
};

/// GPT-2 or DistilGPT-2 with its head (transformers' GPT2LMHeadModel), loaded from a Hugging Face
/// directory: config.json and model.safetensors or its shards, names with and without the prefix
/// "transformer."; or from a GGUF file of the architecture "gpt2". What it computes stands in
/// CausalDecoder; a text of more than n_positions tokens is a ShapeError.
///
/// Safetensors hold the weights of linear layers (in, out), as Conv1D does, GGUF files (out, in);
/// adapters are (R, in) and (out, R) all the same, as PEFT writes them, and a layer that trains as
/// a whole holds its weight (out, in). `Frozen` stores the weights that do not train:
/// PackedWeight<T> is the fastest, MappedWeight<T> leaves them in the file's pages and copies
/// nothing where the file's numbers are of type T. For the others see LlamaModel.
template <class T, class Frozen = PackedWeight<T>>
class GPT2Model : public CausalDecoder<GPT2Model<T, Frozen>, GPT2Parts<T, Frozen>> {
  using Base = CausalDecoder<GPT2Model<T, Frozen>, GPT2Parts<T, Frozen>>;

 public:
  /// Loads the model. Throws FileError for whatever is wrong with the files, ConfigError for
  /// options that do not fit the model.
  explicit GPT2Model(const std::filesystem::path& path, const GPT2Options& options = {})
      : GPT2Model(GPT2Source<T>(path, options), options) {}

 private:
  GPT2Model(const GPT2Source<T>& source, const GPT2Options& options)
      : Base(source, source.builder(options.seed), source.ends(), options.recompute_activations) {}
};

}  // namespace lora::models
