#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/number_checks.hpp"
#include "lora/models/common/language_ends.hpp"
#include "lora/models/common/model_source.hpp"
#include "lora/models/common/replicated_layers.hpp"
#include "lora/models/llama/llama_config.hpp"
#include "lora/models/llama/llama_gguf.hpp"
#include "lora/models/llama/llama_options.hpp"
#include "lora/models/llama/llama_outline.hpp"

namespace lora::models {

/// What a model of Llama's family is built from; see ModelSource.
template <class T>
struct LlamaSource : ModelSource<T, LlamaConfig> {
  /// Opens a Hugging Face directory, or a GGUF file. Throws FileError and ConfigError.
  LlamaSource(const std::filesystem::path& path, const LlamaOptions& options)
      : LlamaSource(io::is_gguf(path) ? open_gguf(path) : open_directory(path), options) {}

  /// Returns what embeddings and head are loaded from; see tied_ends. Throws FileError.
  [[nodiscard]] LanguageEndsNames ends() const {
    return tied_ends(*this->weights, {.embedding = "model.embed_tokens",
                                      .head = "lm_head",
                                      .vocab_size = this->config.vocab_size,
                                      .features = this->config.hidden_size,
                                      .tied = this->config.tie_word_embeddings,
                                      .padding_idx = this->config.pad_token_id});
  }

 private:
  struct Files {
    std::shared_ptr<PretrainedWeights<T>> weights;
    LlamaConfig config;
  };

  static Files open_directory(const std::filesystem::path& directory) {
    LlamaConfig config = read_llama_config(directory);
    auto weights = std::make_shared<PretrainedWeights<T>>(directory);
    // Files of a model without its head leave the prefix out.
    if (!weights->contains("model.embed_tokens.weight") && weights->contains("embed_tokens.weight"))
      weights->replace_prefix("model.", "");
    return {std::move(weights), std::move(config)};
  }

  static Files open_gguf(const std::filesystem::path& path) {
    auto file = std::make_shared<const io::GgufReader>(path);
    LlamaConfig config = read_llama_config(*file);
    auto weights =
        std::make_shared<PretrainedWeights<T>>(llama_gguf_weights(std::move(file), config));
    return {std::move(weights), std::move(config)};
  }

  LlamaSource(const Files& files, const LlamaOptions& options)
      : LlamaSource(files, with_options(files.config, options), options) {}

  LlamaSource(const Files& files, const LlamaConfig& with, const LlamaOptions& options)
      : LlamaSource(files, with,
                    replicated_layers(options.tuning, with.num_hidden_layers, "LlamaModel"),
                    options) {}

  LlamaSource(const Files& files, const LlamaConfig& with, const std::vector<Index>& sources,
              const LlamaOptions& options)
      : LlamaSource(files, with_layers(with, sources), options.tuning) {
    if (!sources.empty()) this->weights->replicate("model.layers.", sources);
  }

  LlamaSource(const Files& files, const LlamaConfig& with, const Tuning& tuning)
      : ModelSource<T, LlamaConfig>(files.weights, with, llama_outline(with), tuning) {}

  static LlamaConfig with_layers(LlamaConfig config, const std::vector<Index>& sources) {
    if (sources.empty()) return config;
    std::vector<std::optional<Index>> windows;
    if (!config.windows.empty())
      for (const Index source : sources) windows.push_back(config.window(source));
    config.windows = std::move(windows);
    config.num_hidden_layers = static_cast<Index>(sources.size());
    return config;
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
