#pragma once

#include <lora/train/task.hpp>

#include "perplexity.hpp"

namespace textgen {

/// A language model and the texts it learns from: what a lora::train::Trainer trains.
template <class Model>
class Learner {
 public:
  /// Learns from parts.train in batches of `batch` texts, in an order of `seed`, and scores itself
  /// by its perplexity on parts.held_out. Views both, which must outlive it.
  Learner(Model& model, const Parts& parts, Index batch, std::uint64_t seed)
      : model_(&model), parts_(&parts), size_(batch), seed_(seed) {}

  [[nodiscard]] lora::ParameterList<float> parameters() { return model_->parameters(); }
  [[nodiscard]] lora::models::CausalTape<float>& tape() { return tape_; }

  [[nodiscard]] std::vector<lora::train::Batch> batches(std::uint64_t epoch) const {
    return lora::train::batches_by_length(parts_->train.lengths, {.size = size_}, seed_, epoch);
  }

  [[nodiscard]] lora::train::BatchLoss loss(const lora::train::Batch& batch) {
    texts_.assign(parts_->train, batch);
    const lora::LanguageModelLoss loss = model_->loss(texts_.tokens(), texts_.labels(), tape_);
    return {.loss = loss.mean(),
            .count = static_cast<double>(loss.tokens),
            .tokens = texts_.tokens().tokens()};
  }

  void backward() { model_->backward(tape_); }

  [[nodiscard]] double validate() const { return perplexity(*model_, parts_->held_out); }

 private:
  Model* model_;
  const Parts* parts_;
  Index size_;
  std::uint64_t seed_;
  TextBatch texts_;
  lora::models::CausalTape<float> tape_;
};

}  // namespace textgen
