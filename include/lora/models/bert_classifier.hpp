#pragma once

#include "lora/models/bert_model.hpp"

namespace lora::models {

/// Says what a BertClassifier gives a label to.
enum class BertTask {
  sequence_classification,  ///< a text: transformers' BertForSequenceClassification
  token_classification,     ///< each token: transformers' BertForTokenClassification
};

/// Is a BERT encoder with a linear classifier on top. Logits are (B, labels) for texts, and for
/// tokens (N, labels), one row for each token of the batch where attention_mask is 1, text after
/// text: pack_labels puts labels in that order.
template <class T, BertTask task, class Frozen = PackedWeight<T>>
class BertClassifier {
 public:
  using Scalar = T;

  /// Loads the model; a classifier that the files do not have is drawn from options.seed, as
  /// transformers does (normal, initializer_range). Throws as BertModel.
  explicit BertClassifier(const std::filesystem::path& directory, const BertOptions& options = {}) {
    static_cast<void>(directory), static_cast<void>(options);
    throw StateError("BertClassifier: not built yet");
  }

  [[nodiscard]] const BertConfig& config() const { return config_; }
  [[nodiscard]] Index labels() const { return labels_; }

  /// Computes the logits without dropout. Const calls may come from several threads at once.
  void forward(const text::TokenBatch& batch, Matrix<T>& logits) const {
    BertBuffers<T> buffers;
    forward(batch, buffers, logits);
  }
  /// Does the same with memory that the next call uses again.
  void forward(const text::TokenBatch& batch, BertBuffers<T>& buffers, Matrix<T>& logits) const;
  /// Computes the same with dropout, and keeps what backward needs.
  void forward(const text::TokenBatch& batch, BertTape<T>& tape, Matrix<T>& logits) const;
  /// Adds to the gradients of all that trains, from dlogits.
  void backward(const Matrix<T>& dlogits, BertTape<T>& tape);
  /// Computes sentence embeddings (B, D) of the encoder: see BertModel::embed.
  void embed(const text::TokenBatch& batch, BertBuffers<T>& buffers, Matrix<T>& y) const;

  /// Lists what trains, the classifier included.
  [[nodiscard]] std::vector<Parameter<T>*> parameters();
  [[nodiscard]] std::vector<AdapterSlot<T>> adapter_slots();
  [[nodiscard]] std::vector<Parameter<T>*> stored_parameters();
  void set_adapters_enabled(bool enabled);

  /// Saves adapters and what is stored whole as PEFT does. Throws StateError unless the tuning is
  /// LoRA.
  void save_adapter(const std::filesystem::path& directory);
  /// Loads an adapter that PEFT or save_adapter wrote for modules that this model adapts.
  void load_adapter(const std::filesystem::path& directory);
  [[nodiscard]] const io::PeftConfig& peft_config() const { return peft_; }
  [[nodiscard]] const std::vector<io::ModuleName>& modules() const { return modules_; }
  [[nodiscard]] Index trainable_parameters();
  [[nodiscard]] Index total_parameters() const;

 private:
  BertConfig config_;
  Index labels_ = 0;
  io::PeftConfig peft_;
  std::vector<io::ModuleName> modules_;
};

template <class T, class Frozen = PackedWeight<T>>
using BertForSequenceClassification = BertClassifier<T, BertTask::sequence_classification, Frozen>;

template <class T, class Frozen = PackedWeight<T>>
using BertForTokenClassification = BertClassifier<T, BertTask::token_classification, Frozen>;

}  // namespace lora::models
