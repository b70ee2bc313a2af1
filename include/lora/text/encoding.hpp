#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/text/span.hpp"

namespace lora::text {

/// A text as a model takes it; the vectors have one entry a token.
struct Encoding {
  std::vector<int> ids;
  std::vector<int> type_ids;  ///< which of two texts the token is from
  std::vector<Index> words;  ///< the number of the token's word in its text; -1 for the model's own
                             ///< tokens ([CLS] ...)
  std::vector<Span> offsets;  ///< the token's bytes in its text, or in its word where words were
                              ///< given; empty for the model's own tokens

  /// Counts the tokens.
  [[nodiscard]] std::size_t size() const { return ids.size(); }

  /// Appends a token.
  void push_back(int id, int type_id, Index word, Span offset) {
    ids.push_back(id);
    type_ids.push_back(type_id);
    words.push_back(word);
    offsets.push_back(offset);
  }

  /// Keeps the first `length` tokens.
  void truncate(std::size_t length) {
    if (length >= size()) return;
    ids.resize(length);
    type_ids.resize(length);
    words.resize(length);
    offsets.resize(length);
  }
};

/// Returns, for each of the first `words` words of a text given as words, the index of its first
/// token. It is -1 for a word that has none: one that was truncated, or of which nothing was left.
[[nodiscard]] inline std::vector<Index> first_tokens(const Encoding& encoding, Index words) {
  std::vector<Index> first(static_cast<std::size_t>(words), -1);
  for (std::size_t i = encoding.size(); i-- > 0;) {
    const Index word = encoding.words[i];
    if (word >= 0 && word < words) first[static_cast<std::size_t>(word)] = static_cast<Index>(i);
  }
  return first;
}

/// Returns a label for each token from a label for each word. The first token of a word has the
/// word's label; all others have `ignored`, and so have words beyond the labels.
[[nodiscard]] inline std::vector<int> token_labels(const Encoding& encoding,
                                                   std::span<const int> word_labels,
                                                   int ignored = -100) {
  std::vector<int> labels(encoding.size(), ignored);
  const auto first = first_tokens(encoding, static_cast<Index>(word_labels.size()));
  for (std::size_t word = 0; word < first.size(); ++word)
    if (first[word] >= 0) labels[static_cast<std::size_t>(first[word])] = word_labels[word];
  return labels;
}

}  // namespace lora::text
