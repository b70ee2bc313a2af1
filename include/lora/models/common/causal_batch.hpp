#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lora/nn/sequences.hpp"
#include "lora/text/token_batch.hpp"

namespace lora::models {

/// Texts of a language model as token ids, one row a token, text after text without padding. Texts
/// do not see each other, and each begins at position 0, wherever they lie.
class CausalBatch {
 public:
  /// Makes the batch of no texts.
  CausalBatch() = default;

  /// Takes texts of `lengths` tokens each, one after the other in `ids`; throws as assign.
  CausalBatch(std::span<const int> ids, std::span<const int> lengths) { assign(ids, lengths); }

  /// Takes the tokens of `batch` where attention_mask is 1; throws as assign.
  explicit CausalBatch(const text::TokenBatch& batch) { assign(batch); }

  /// Takes texts, reusing the memory. Throws ShapeError unless `lengths`, 1 or more each, are
  /// those of `ids` together.
  void assign(std::span<const int> ids, std::span<const int> lengths) {
    constexpr const char* where = "CausalBatch";
    std::size_t sum = 0;
    for (std::size_t b = 0; b < lengths.size(); ++b) {
      if (lengths[b] < 1)
        throw ShapeError(
            message(where, ": text ", b, " has ", lengths[b], " tokens, expected at least 1"));
      sum += static_cast<std::size_t>(lengths[b]);
    }
    if (sum != ids.size())
      throw ShapeError(
          message(where, ": ", ids.size(), " ids, expected the ", sum, " tokens of all texts"));
    ids_.assign(ids.begin(), ids.end());
    sequences_.set_packed(lengths);
  }

  /// Takes the tokens of a padded batch, on either side, where attention_mask is 1. Throws
  /// ShapeError where ids and attention_mask (B, L) differ in shape, for another value than 0 and
  /// 1, and for a text without tokens.
  void assign(const text::TokenBatch& batch) {
    constexpr const char* where = "CausalBatch";
    const Index texts = batch.ids.rows(), length = batch.ids.cols();
    require_shape(batch.attention_mask, texts, length, where, "attention_mask");
    std::vector<int> ids, lengths;
    for (Index text = 0; text < texts; ++text) {
      const std::size_t before = ids.size();
      for (Index i = 0; i < length; ++i) {
        const int seen = batch.attention_mask(text, i);
        if (seen != 0 && seen != 1)
          throw ShapeError(message(where, ": attention_mask(", text, ", ", i, ") is ", seen,
                                   ", expected 0 or 1"));
        if (seen == 1) ids.push_back(batch.ids(text, i));
      }
      lengths.push_back(static_cast<int>(ids.size() - before));
    }
    assign(ids, lengths);
  }

  [[nodiscard]] const std::vector<int>& ids() const { return ids_; }
  [[nodiscard]] const Sequences& sequences() const { return sequences_; }
  [[nodiscard]] Index tokens() const { return sequences_.rows(); }

  /// Throws ShapeError, naming `where`, for an id outside of [0, vocab_size) and for a text of more
  /// than `positions` tokens.
  template <class Where>
  void require(Index vocab_size, Index positions, const Where& where) const {
    for (std::size_t i = 0; i < ids_.size(); ++i)
      if (ids_[i] < 0 || ids_[i] >= vocab_size)
        throw ShapeError(message(where, ": id ", i, " is ", ids_[i], ", expected a token in [0, ",
                                 vocab_size, ")"));
    for (Index b = 0; b < sequences_.size(); ++b)
      if (sequences_[b].rows > positions)
        throw ShapeError(message(where, ": text ", b, " of the batch has ", sequences_[b].rows,
                                 " tokens, expected at most ", positions));
  }

 private:
  std::vector<int> ids_;
  Sequences sequences_;
};

}  // namespace lora::models
