#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <lora/models.hpp>
#include <lora/nn/cross_entropy.hpp>

namespace lora::test {

/// Returns a path inside of what tests/golden/make_golden_bert.py wrote.
[[nodiscard]] inline std::filesystem::path bert_data(const std::string& name) {
  return std::filesystem::path(LORA_GOLDEN_DIR) / "bert" / name;
}

/// Returns a tensor of whole numbers, which the golden files keep as F32.
[[nodiscard]] inline Matrix<int> read_integers(const io::SafetensorsReader& file,
                                               const std::string& name) {
  return file.read<double>(name).cast<int>();
}

/// Holds the batch that the golden files were made with: padding at the end and$
/// within a text.
struct GoldenBatch {
  GoldenBatch() : GoldenBatch(io::SafetensorsReader(bert_data("batch.safetensors"))) {}

  explicit GoldenBatch(const io::SafetensorsReader& file)
      : tokens{read_integers(file, "ids"), read_integers(file, "type_ids"),
               read_integers(file, "attention_mask")} {
    const Matrix<int> texts = read_integers(file, "labels");
    labels.assign(texts.data(), texts.data() + texts.size());
    models::pack_labels(read_integers(file, "token_labels"), tokens, token_labels);
  }

  text::TokenBatch tokens;
  std::vector<int> labels;        // of the texts
  std::vector<int> token_labels;  // of the tokens
};

/// Returns two batches of the same texts, the second of the last two alone.
[[nodiscard]] inline std::vector<text::TokenBatch> two_batches() {
  const GoldenBatch all;
  const auto last = [](const Matrix<int>& m) { return Matrix<int>(m.bottomRows(2)); };
  return {all.tokens,
          {last(all.tokens.ids), last(all.tokens.type_ids), last(all.tokens.attention_mask)}};
}

/// Returns the adapters that the contract of models is checked with.
[[nodiscard]] inline peft::PeftConfig contract_lora(const std::string& task) {
  peft::PeftConfig config;
  config.r = 3;
  config.lora_alpha = 4;
  config.lora_dropout = 0.2;
  config.target_modules = std::vector<std::string>{"query", "value", "dense"};
  config.task_type = task;
  return config;
}

/// Returns options with dropout for a model of that contract.
[[nodiscard]] inline models::BertOptions contract_options(const peft::PeftConfig& lora) {
  return {.tuning = lora, .seed = 5, .hidden_dropout = 0.1, .attention_dropout = 0.1};
}

/// Returns options that train nothing below the head, with dropout of probability p.
[[nodiscard]] inline models::BertOptions with_dropout_of(double p) {
  return {.hidden_dropout = p, .attention_dropout = p};
}

/// Returns options without dropout, as the golden files were made.
[[nodiscard]] inline models::BertOptions without_dropout(models::Tuning tuning) {
  return {.tuning = std::move(tuning),
          .hidden_dropout = 0,
          .attention_dropout = 0,
          .classifier_dropout = 0};
}

/// Returns the labels that a task's loss takes.
template <models::BertTask task>
[[nodiscard]] const std::vector<int>& labels_of(const GoldenBatch& batch) {
  return task == models::BertTask::token_classification ? batch.token_labels : batch.labels;
}

/// Runs a training step without an optimizer: returns the loss, and adds to the gradients.
template <class T, models::BertTask task, class Frozen>
T step(models::BertClassifier<T, task, Frozen>& model, const GoldenBatch& batch,
       models::BertTape<T>& tape, Matrix<T>& logits, Matrix<T>& dlogits) {
  model.forward(batch.tokens, tape, logits);
  const T loss = cross_entropy<T>(logits, labels_of<task>(batch), dlogits);
  model.backward(dlogits, tape);
  return loss;
}

/// Does the same for a model without a head, whose loss is half the mean of its squared hidden
/// states (N, D).
template <class T, class Frozen>
T step(models::BertModel<T, Frozen>& model, const GoldenBatch& batch, models::BertTape<T>& tape,
       Matrix<T>& hidden, Matrix<T>& dhidden) {
  model.forward(batch.tokens, tape, hidden);
  const auto count = static_cast<T>(hidden.size());
  dhidden = hidden / count;
  model.backward(dhidden, tape);
  return hidden.squaredNorm() / (2 * count);
}

}  // namespace lora::test
