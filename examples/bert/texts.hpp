#pragma once

#include <algorithm>
#include <cstddef>
#include <lora/lora.hpp>
#include <lora/text.hpp>
#include <lora/train/batches.hpp>
#include <lora/train/fingerprint.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace bert {

using lora::Index;
using lora::train::Batch;

/// Texts as a model takes them, and the classes that are right: one a text, or one a token
/// where tokens are classified (-100 for those that no loss counts).
struct Texts {
  std::vector<std::vector<std::string>> words;  ///< as they came: a sentence, or its words
  std::vector<lora::text::Encoding> encodings;
  std::vector<std::vector<int>> labels;
  std::vector<Index> lengths;                  ///< in tokens
  std::vector<std::vector<std::string>> tags;  ///< as published, where words have them

  [[nodiscard]] std::size_t size() const { return encodings.size(); }

  void add(std::vector<std::string> text, lora::text::Encoding encoding, std::vector<int> label,
           std::vector<std::string> published_tags = {}) {
    words.push_back(std::move(text));
    lengths.push_back(static_cast<Index>(encoding.size()));
    encodings.push_back(std::move(encoding));
    labels.push_back(std::move(label));
    tags.push_back(std::move(published_tags));
  }

  /// Returns a fingerprint of what a model sees of them.
  [[nodiscard]] std::string fingerprint() const {
    lora::train::Fingerprint all;
    for (const lora::text::Encoding& encoding : encodings) all.add(encoding.ids);
    return all.add(labels).text();
  }
};

/// The classes of each text's rows, in the order of Texts.
using Classes = std::vector<std::vector<int>>;

/// Pads the texts of one batch to their longest, and joins their labels.
class PaddedBatch {
 public:
  void assign(const Texts& texts, const Batch& batch, const lora::text::BertTokenizer& tokenizer) {
    encodings_.clear();
    labels_.clear();
    tokens_ = 0;
    for (const Index text : batch) {
      const auto at = static_cast<std::size_t>(text);
      encodings_.push_back(texts.encodings[at]);
      labels_.insert(labels_.end(), texts.labels[at].begin(), texts.labels[at].end());
      tokens_ += texts.lengths[at];
    }
    tokens_of_ = tokenizer.pad(encodings_);
  }

  [[nodiscard]] const lora::text::TokenBatch& tokens() const { return tokens_of_; }
  [[nodiscard]] std::span<const int> labels() const { return labels_; }
  [[nodiscard]] Index token_count() const { return tokens_; }

  /// Returns how many labels a loss counts.
  [[nodiscard]] Index label_count() const {
    return static_cast<Index>(
        std::count_if(labels_.begin(), labels_.end(), [](int label) { return label != -100; }));
  }

 private:
  std::vector<lora::text::Encoding> encodings_;
  std::vector<int> labels_;
  lora::text::TokenBatch tokens_of_;
  Index tokens_ = 0;
};

}  // namespace bert
