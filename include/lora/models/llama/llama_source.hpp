#pragma once

#include <filesystem>
#include <string>

#include "lora/core/number_checks.hpp"
#include "lora/models/common/model_source.hpp"
#include "lora/models/llama/llama_config.hpp"
#include "lora/models/llama/llama_options.hpp"
#include "lora/models/llama/llama_outline.hpp"

namespace lora::models {

/// What a model of Llama's family is built from; see ModelSource.
template <class T>
struct LlamaSource : ModelSource<T, LlamaConfig> {
  /// Opens a Hugging Face directory. Throws FileError and ConfigError.
  LlamaSource(const std::filesystem::path& directory, const LlamaOptions& options)
      : LlamaSource(directory, options, with_options(read_llama_config(directory), options)) {}

  /// Tells whether the head's weight is the embeddings', as config.json says: not where the files
  /// have a head of their own, which transformers 5.24 loads too. Throws FileError where they have
  /// none that the config asks for.
  [[nodiscard]] bool ties_head() const {
    if (this->weights->contains("lm_head.weight")) return false;
    if (this->config.tie_word_embeddings) return true;
    throw FileError(message(this->weights->directory().string(),
                            ": has no \"lm_head.weight\", and tie_word_embeddings is false: the "
                            "head would be random"));
  }

 private:
  LlamaSource(const std::filesystem::path& directory, const LlamaOptions& options,
              const LlamaConfig& with)
      : ModelSource<T, LlamaConfig>(directory, with, llama_outline(with), options.tuning) {
    // Files of a model without its head leave the prefix out.
    if (!this->weights->contains("model.embed_tokens.weight") &&
        this->weights->contains("embed_tokens.weight"))
      this->weights->replace_prefix("model.", "");
  }

  static LlamaConfig with_options(LlamaConfig config, const LlamaOptions& options) {
    if (options.attention_dropout) {
      require_below_one(*options.attention_dropout, "LlamaOptions", "attention_dropout");
      config.attention_dropout = *options.attention_dropout;
    }
    return config;
  }
};

}  // namespace lora::models
