#pragma once

#include <cstddef>
#include <functional>
#include <lora/lora.hpp>
#include <lora/models.hpp>
#include <lora/text.hpp>
#include <utility>
#include <vector>

#include "batches.hpp"
#include "texts.hpp"
#include "training.hpp"

namespace bert {

using lora::models::BertTask;

/// Returns the number of the largest logit of each row.
[[nodiscard]] inline std::vector<int> largest(const lora::Matrix<float>& logits) {
  std::vector<int> classes;
  for (Index row = 0; row < logits.rows(); ++row) {
    Index best = 0;
    logits.row(row).maxCoeff(&best);
    classes.push_back(static_cast<int>(best));
  }
  return classes;
}

/// Trains and asks a BERT with a classifier on top; see Learner.
template <BertTask task>
class Classifier {
 public:
  using Model = lora::models::BertClassifier<float, task>;
  using Score = std::function<double(const Texts&, const Classes&)>;

  /// Learns from `train` and scores itself on `validation` by `score`. Texts and tokenizer must
  /// outlive it.
  Classifier(Model model, const lora::text::BertTokenizer& tokenizer, const Texts& train,
             const Texts& validation, Index batch, Score score)
      : model_(std::move(model)),
        tokenizer_(&tokenizer),
        train_(&train),
        validation_(&validation),
        batch_size_(batch),
        score_(std::move(score)) {}

  [[nodiscard]] const std::vector<Index>& lengths() const { return train_->lengths; }
  [[nodiscard]] lora::ParameterList<float> parameters() { return model_.parameters(); }
  [[nodiscard]] lora::models::BertTape<float>& tape() { return tape_; }
  [[nodiscard]] Model& model() { return model_; }

  /// Adds the gradients of the mean cross entropy of the batch.
  Step step(const Batch& batch) {
    batch_.assign(*train_, batch, *tokenizer_);
    model_.forward(batch_.tokens(), tape_, logits_);
    const float loss = lora::cross_entropy(logits_, batch_.labels(), dlogits_);
    model_.backward(dlogits_, tape_);
    return {.loss = static_cast<double>(loss), .tokens = batch_.token_count()};
  }

  [[nodiscard]] double validate() { return score_(*validation_, classify(*validation_)); }

  /// Returns the answers for these texts: see Classes.
  [[nodiscard]] Classes classify(const Texts& texts) {
    Classes classes(texts.size());
    for (const Batch& batch : batches_by_length(texts.lengths, batch_size_)) {
      batch_.assign(texts, batch, *tokenizer_);
      model_.forward(batch_.tokens(), tape_.buffers, logits_);
      const std::vector<int> all = largest(logits_);
      auto from = all.begin();
      for (const Index text : batch) {
        const auto at = static_cast<std::size_t>(text);
        const auto rows = static_cast<std::ptrdiff_t>(texts.labels[at].size());
        classes[at].assign(from, from + rows);
        from += rows;
      }
    }
    return classes;
  }

 private:
  Model model_;
  const lora::text::BertTokenizer* tokenizer_;
  const Texts* train_;
  const Texts* validation_;
  Index batch_size_;
  Score score_;
  PaddedBatch batch_;
  lora::models::BertTape<float> tape_;
  lora::Matrix<float> logits_;
  lora::Matrix<float> dlogits_;
};

}  // namespace bert
