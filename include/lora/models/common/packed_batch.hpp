#pragma once

#include <algorithm>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/nn/sequences.hpp"
#include "lora/text/token_batch.hpp"

namespace lora::models {

/// The tokens whose last hidden states a head reads.
enum class ReadRows {
  all,    ///< of every token
  first,  ///< of each text's first, [CLS]: the last layer need not compute the others
};

/// The tokens of a text::TokenBatch without its padding, one row each: text after text, and in a
/// text as in its row of attention_mask. Whatever is computed for padding is computed for nothing.
class PackedBatch {
 public:
  /// Makes the batch of no texts.
  PackedBatch() = default;

  /// Packs `batch`; throws as assign.
  explicit PackedBatch(const text::TokenBatch& batch) { assign(batch); }

  /// Packs `batch`, reusing the memory. Throws ShapeError where ids, type_ids and attention_mask
  /// (B, L) differ in shape, and for another value than 0 and 1 in attention_mask.
  void assign(const text::TokenBatch& batch) {
    constexpr const char* where = "PackedBatch";
    const Index texts = batch.ids.rows(), length = batch.ids.cols();
    require_shape(batch.type_ids, texts, length, where, "type_ids");
    require_shape(batch.attention_mask, texts, length, where, "attention_mask");
    for (Index i = 0; i < batch.attention_mask.size(); ++i)
      if (const int seen = batch.attention_mask.data()[i]; seen != 0 && seen != 1)
        throw ShapeError(
            message(where, ": element ", i, " of attention_mask is ", seen, ", expected 0 or 1"));
    ids_.clear();
    type_ids_.clear();
    positions_.clear();
    lengths_.clear();
    for (Index text = 0; text < texts; ++text) {
      const std::size_t before = ids_.size();
      for (Index i = 0; i < length; ++i) {
        if (batch.attention_mask(text, i) == 0) continue;
        ids_.push_back(batch.ids(text, i));
        type_ids_.push_back(batch.type_ids(text, i));
        // Hugging Face counts padding too: a text that begins with it has no position 0.
        positions_.push_back(static_cast<int>(i));
      }
      lengths_.push_back(static_cast<int>(ids_.size() - before));
    }
    sequences_.set_packed(lengths_);
    for (int& tokens : lengths_) tokens = std::min(tokens, 1);
    first_tokens_.set_packed(lengths_);
  }

  /// Throws ShapeError, naming `where`, the first text that is too long and its length, unless
  /// every token has a position below `limit`, the model's max_position_embeddings.
  void require_positions(Index limit, const char* where) const {
    for (Index text = 0; text < sequences_.size(); ++text) {
      if (sequences_[text].tokens == 0) continue;
      const Index length =
          1 +
          positions_[static_cast<std::size_t>(sequences_[text].begin + sequences_[text].rows - 1)];
      if (length > limit)
        throw ShapeError(message(where, ": text ", text, " of the batch has ", length,
                                 " tokens, expected at most max_position_embeddings = ", limit,
                                 "; text::EncodeOptions::max_length truncates"));
    }
  }

  /// Throws ShapeError, naming `where`, for a text that begins with padding: a head that reads the
  /// first column, as in transformers, would read what was computed for padding.
  void require_first_columns(const char* where) const {
    for (Index text = 0; text < sequences_.size(); ++text)
      if (sequences_[text].tokens > 0 &&
          positions_[static_cast<std::size_t>(sequences_[text].begin)] != 0)
        throw ShapeError(message(where, ": text ", text,
                                 " of the batch begins with padding, where "
                                 "its first token is expected: pad on the right"));
  }

  [[nodiscard]] const std::vector<int>& ids() const { return ids_; }
  [[nodiscard]] const std::vector<int>& type_ids() const { return type_ids_; }
  [[nodiscard]] const std::vector<int>& positions() const { return positions_; }
  [[nodiscard]] const Sequences& sequences() const { return sequences_; }

  /// Returns the rows that a head reads: each text's tokens, or the first of each text that has
  /// tokens, one row each.
  [[nodiscard]] const Sequences& sequences(ReadRows read) const {
    return read == ReadRows::all ? sequences_ : first_tokens_;
  }

  /// Copies to y (texts with tokens, D) the rows of their first tokens among those of x (N, D).
  template <class T>
  void take_first_tokens(ConstMatrixRef<T> x, MatrixRef<T> y) const {
    for_each_first_token([&](Index first, Index row) { y.row(first) = x.row(row); });
  }

  /// Adds y (texts with tokens, D) to the rows of their first tokens among those of x (N, D).
  template <class T>
  void add_to_first_tokens(ConstMatrixRef<T> y, MatrixRef<T> x) const {
    for_each_first_token([&](Index first, Index row) { x.row(row) += y.row(first); });
  }

 private:
  template <class Action>
  void for_each_first_token(const Action& action) const {
    for (Index b = 0; b < sequences_.size(); ++b)
      if (sequences_[b].tokens > 0) action(first_tokens_[b].begin, sequences_[b].begin);
  }

  std::vector<int> ids_;
  std::vector<int> type_ids_;
  std::vector<int> positions_;
  std::vector<int> lengths_;
  Sequences sequences_;
  Sequences first_tokens_;
};

/// Appends to `packed`, which is emptied first, the numbers (B, L) of the tokens of `batch`, in the
/// order of the rows that a model gives for it: labels for token classification. Throws ShapeError.
inline void pack_labels(const Matrix<int>& per_token, const text::TokenBatch& batch,
                        std::vector<int>& packed) {
  require_shape(per_token, batch.attention_mask.rows(), batch.attention_mask.cols(), "pack_labels",
                "per_token");
  packed.clear();
  for (Index i = 0; i < per_token.size(); ++i)
    if (batch.attention_mask.data()[i] != 0) packed.push_back(per_token.data()[i]);
}

}  // namespace lora::models
