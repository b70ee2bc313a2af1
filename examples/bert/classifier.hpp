#pragma once

#include <cstddef>
#include <cstdint>
#include <lora/lora.hpp>
#include <lora/metrics/predicted_classes.hpp>
#include <lora/models.hpp>
#include <lora/text.hpp>
#include <lora/train/batches.hpp>
#include <lora/train/task.hpp>
#include <utility>
#include <vector>

#include "problem.hpp"
#include "texts.hpp"

namespace bert {

using lora::models::BertTask;

/// A BERT with a classifier on top and the texts of a problem: what a lora::train::Trainer trains.
template <BertTask task>
class Classifier {
 public:
  using Model = lora::models::BertClassifier<float, task>;

  /// Learns from problem.train in batches of `batch` texts, in an order of `seed`, and scores
  /// itself on problem.validation. Problem and tokenizer must outlive it.
  Classifier(Model model, const lora::text::BertTokenizer& tokenizer, const Problem& problem,
             Index batch, std::uint64_t seed)
      : model_(std::move(model)),
        tokenizer_(&tokenizer),
        problem_(&problem),
        batch_size_(batch),
        seed_(seed) {}

  [[nodiscard]] Model& model() { return model_; }
  [[nodiscard]] lora::ParameterList<float> parameters() { return model_.parameters(); }
  [[nodiscard]] lora::models::BertTape<float>& tape() { return tape_; }

  [[nodiscard]] std::vector<Batch> batches(std::uint64_t epoch) const {
    return lora::train::batches_by_length(problem_->train.lengths, {.size = batch_size_}, seed_,
                                          epoch);
  }

  /// Computes the mean cross entropy over the labels of these texts that count.
  [[nodiscard]] lora::train::BatchLoss loss(const Batch& batch) {
    batch_.assign(problem_->train, batch, *tokenizer_);
    model_.forward(batch_.tokens(), tape_, logits_);
    const float loss = lora::cross_entropy(logits_, batch_.labels(), dlogits_);
    return {.loss = static_cast<double>(loss),
            .count = static_cast<double>(batch_.label_count()),
            .tokens = batch_.token_count()};
  }

  void backward() { model_.backward(dlogits_, tape_); }

  [[nodiscard]] double validate() {
    return problem_->score(problem_->validation, classify(problem_->validation));
  }

  /// Returns the answers for these texts: see Classes.
  [[nodiscard]] Classes classify(const Texts& texts) {
    Classes classes(texts.size());
    for (const Batch& batch :
         lora::train::batches_by_length(texts.lengths, {.size = batch_size_})) {
      batch_.assign(texts, batch, *tokenizer_);
      packed_.assign(batch_.tokens());
      model_.forward(packed_, logits_);
      const std::vector<int> all = lora::metrics::predicted_classes(logits_);
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
  const Problem* problem_;
  Index batch_size_;
  std::uint64_t seed_;
  PaddedBatch batch_;
  lora::models::PackedBatch packed_;
  lora::models::BertTape<float> tape_;
  lora::Matrix<float> logits_;
  lora::Matrix<float> dlogits_;
};

}  // namespace bert
