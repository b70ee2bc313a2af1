#pragma once

#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/nn/sequences.hpp"
#include "lora/text/token_batch.hpp"

namespace lora::models {

/// Holds the tokens of a text::TokenBatch without its padding, one row each: text after text, and
/// in a text as in its row of attention_mask. Whatever is computed for padding is computed for
/// nothing.
class PackedBatch {
 public:
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
  }

  [[nodiscard]] const std::vector<int>& ids() const { return ids_; }
  [[nodiscard]] const std::vector<int>& type_ids() const { return type_ids_; }
  [[nodiscard]] const std::vector<int>& positions() const { return positions_; }
  [[nodiscard]] const Sequences& sequences() const { return sequences_; }

 private:
  std::vector<int> ids_;
  std::vector<int> type_ids_;
  std::vector<int> positions_;
  std::vector<int> lengths_;
  Sequences sequences_;
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
