#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "lora/core/number_checks.hpp"
#include "lora/models/common/language_ends.hpp"
#include "lora/models/common/model_source.hpp"
#include "lora/models/gpt2/gpt2_config.hpp"
#include "lora/models/gpt2/gpt2_gguf.hpp"
#include "lora/models/gpt2/gpt2_options.hpp"
#include "lora/models/gpt2/gpt2_outline.hpp"

namespace lora::models {

/// What a GPT2Model is built from; see ModelSource.
template <class T>
struct GPT2Source : ModelSource<T, GPT2Config> {
  /// Opens a Hugging Face directory, or a GGUF file. Throws FileError and ConfigError.
  GPT2Source(const std::filesystem::path& path, const GPT2Options& options)
      : GPT2Source(io::is_gguf(path) ? open_gguf(path) : open_directory(path), options) {}

  /// Returns what embeddings and head are loaded from; see tied_ends. Throws FileError.
  [[nodiscard]] LanguageEndsNames ends() const {
    return tied_ends(*this->weights, {.embedding = "transformer.wte",
                                      .head = "lm_head",
                                      .vocab_size = this->config.vocab_size,
                                      .features = this->config.n_embd,
                                      .tied = this->config.tie_word_embeddings});
  }

 private:
  struct Files {
    std::shared_ptr<PretrainedWeights<T>> weights;
    GPT2Config config;
  };

  GPT2Source(const Files& files, const GPT2Options& options)
      : GPT2Source(files, with_options(files.config, options), options) {}

  GPT2Source(const Files& files, const GPT2Config& with, const GPT2Options& options)
      : ModelSource<T, GPT2Config>(files.weights, with, gpt2_outline(with), options.tuning) {}

  static Files open_directory(const std::filesystem::path& directory) {
    GPT2Config config = read_gpt2_config(directory);
    auto weights = std::make_shared<PretrainedWeights<T>>(directory);
    // OpenAI's own files and those of a model without its head leave the prefix out.
    if (!weights->contains("transformer.wte.weight") && weights->contains("wte.weight"))
      weights->replace_prefix("transformer.", "");
    return {std::move(weights), std::move(config)};
  }

  static Files open_gguf(const std::filesystem::path& path) {
    auto file = std::make_shared<const io::GgufReader>(path);
    GPT2Config config = read_gpt2_config(*file);
    auto weights =
        std::make_shared<PretrainedWeights<T>>(gpt2_gguf_weights(std::move(file), config));
    return {std::move(weights), std::move(config)};
  }

  static GPT2Config with_options(GPT2Config config, const GPT2Options& options) {
    const auto set = [](double& value, const std::optional<double>& to, const char* name) {
      if (!to) return;
      require_below_one(*to, "GPT2Options", name);
      value = *to;
    };
    set(config.embd_pdrop, options.embedding_dropout, "embedding_dropout");
    set(config.resid_pdrop, options.residual_dropout, "residual_dropout");
    set(config.attn_pdrop, options.attention_dropout, "attention_dropout");
    return config;
  }
};

}  // namespace lora::models
