#pragma once

#include <lora/models.hpp>
#include <lora/train/batches.hpp>
#include <vector>

#include "samples.hpp"

namespace textgen {

/// Some of the samples, as the model takes them: one after the other, without padding.
class TextBatch {
 public:
  void assign(const Samples& samples, const lora::train::Batch& batch) {
    ids_.clear();
    labels_.clear();
    lengths_.clear();
    for (const Index at : batch) {
      const auto& text = samples.texts[static_cast<std::size_t>(at)];
      ids_.insert(ids_.end(), text.ids.begin(), text.ids.end());
      labels_.insert(labels_.end(), text.labels.begin(), text.labels.end());
      lengths_.push_back(static_cast<int>(text.ids.size()));
    }
    tokens_.assign(ids_, lengths_);
  }

  [[nodiscard]] const lora::models::CausalBatch& tokens() const { return tokens_; }
  [[nodiscard]] const std::vector<int>& labels() const { return labels_; }

 private:
  std::vector<int> ids_, labels_, lengths_;
  lora::models::CausalBatch tokens_;
};

}  // namespace textgen
