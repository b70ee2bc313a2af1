#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "lora/core/matrix.hpp"

namespace lora {

/// The layout of a batch: where its sequences lie among the rows of its activations, and which rows
/// hold tokens and which are padding.
///
/// Two layouts: padded, where every sequence has the same number of rows, as Hugging Face's
/// tokenizers give; and packed, where the sequences follow each other without padding, so that no
/// layer spends time on it. Setting a layout again reuses the memory.
class Sequences {
 public:
  /// One sequence: rows [begin, begin + rows), of which [begin + first, begin + last) are the run
  /// from its first to its last token. With `holes`, some rows of the run are padding too.
  struct Sequence {
    Index begin = 0;
    Index rows = 0;
    Index first = 0;
    Index last = 0;
    Index tokens = 0;
    bool holes = false;
  };

  /// Makes the batch of no sequences.
  Sequences() = default;

  /// Returns a batch of sequences of `length` rows each, of which the first lengths[b] are tokens.
  /// Throws ShapeError for a length outside [0, length].
  [[nodiscard]] static Sequences padded(std::span<const int> lengths, Index length) {
    Sequences sequences;
    sequences.set_padded(lengths, length);
    return sequences;
  }

  /// Returns a batch of sequences of `length` rows each whose tokens are where `mask`, (sequences x
  /// length) as a tokenizer's attention_mask, is 1. Throws ShapeError for other values than 0 and 1
  /// and a size that is no multiple of `length`.
  [[nodiscard]] static Sequences masked(std::span<const int> mask, Index length) {
    Sequences sequences;
    sequences.set_masked(mask, length);
    return sequences;
  }

  /// Returns a batch of sequences of lengths[b] rows, all of them tokens, one after the other.
  /// Throws ShapeError for a negative length.
  [[nodiscard]] static Sequences packed(std::span<const int> lengths) {
    Sequences sequences;
    sequences.set_packed(lengths);
    return sequences;
  }

  /// Becomes what `padded` returns; unchanged when it throws.
  void set_padded(std::span<const int> lengths, Index length) {
    require_length(length, 0, "Sequences::padded");
    for (std::size_t b = 0; b < lengths.size(); ++b)
      if (lengths[b] < 0 || lengths[b] > length)
        throw ShapeError(message("Sequences::padded: length ", b, " is ", lengths[b],
                                 ", expected 0 to ", length));
    clear();
    for (const int tokens : lengths) add({rows(), length, 0, tokens, tokens, false});
  }

  /// Becomes what `masked` returns; unchanged when it throws.
  void set_masked(std::span<const int> mask, Index length) {
    require_length(length, 1, "Sequences::masked");
    if (static_cast<Index>(mask.size()) % length != 0)
      throw ShapeError(message("Sequences::masked: the mask has ", mask.size(),
                               " elements, expected a multiple of the length ", length));
    for (std::size_t i = 0; i < mask.size(); ++i)
      if (mask[i] != 0 && mask[i] != 1)
        throw ShapeError(message("Sequences::masked: element ", i, " of the mask is ", mask[i],
                                 ", expected 0 or 1"));
    clear();
    for (auto row = mask.begin(); row != mask.end(); row += length) {
      const auto end = row + length;
      const Index tokens = std::count(row, end, 1);
      Sequence sequence{rows(), length, 0, 0, tokens, false};
      if (tokens > 0) {
        sequence.first = std::find(row, end, 1) - row;
        for (sequence.last = length; row[sequence.last - 1] == 0;) --sequence.last;
      }
      sequence.holes = sequence.last - sequence.first != tokens;
      add(sequence);
      if (!sequence.holes) continue;
      std::copy(row, end, is_token_.end() - length);
      std::for_each(row, end, [this](int token) { mix(static_cast<std::uint64_t>(token)); });
    }
  }

  /// Becomes what `packed` returns; unchanged when it throws.
  void set_packed(std::span<const int> lengths) {
    for (std::size_t b = 0; b < lengths.size(); ++b)
      if (lengths[b] < 0)
        throw ShapeError(
            message("Sequences::packed: length ", b, " is ", lengths[b], ", expected at least 0"));
    clear();
    for (const int tokens : lengths) add({rows(), tokens, 0, tokens, tokens, false});
  }

  /// Becomes some of the rows of `all`, its padding not among them, as the queries of an attention
  /// whose keys are all: `rows` in rising order. positions() are theirs in `all`. Throws
  /// ShapeError, and is unchanged then.
  void set_selected(const Sequences& all, std::span<const Index> rows) {
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (rows[i] < (i == 0 ? 0 : rows[i - 1] + 1) || rows[i] >= all.rows() ||
          !all.is_token(rows[i]))
        throw ShapeError(message("Sequences::selected: row ", i, " is ", rows[i],
                                 ", expected rows of tokens in [0, ", all.rows(),
                                 ") in rising order"));
    clear();
    selected_ = true;
    std::size_t next = 0;
    for (Index b = 0; b < all.size(); ++b) {
      const std::size_t before = next;
      while (next < rows.size() && rows[next] < all[b].begin + all[b].rows) ++next;
      const auto count = static_cast<Index>(next - before);
      add({this->rows(), count, 0, count, count, false});
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      positions_[i] = all.positions_[static_cast<std::size_t>(rows[i])];
      mix(static_cast<std::uint64_t>(rows[i]));
    }
  }

  /// Tells whether these are rows that set_selected chose.
  [[nodiscard]] bool selected() const { return selected_; }

  /// Returns the number of sequences.
  [[nodiscard]] Index size() const { return static_cast<Index>(sequences_.size()); }

  /// Returns sequence `b` in [0, size()).
  [[nodiscard]] const Sequence& operator[](Index b) const {
    return sequences_[static_cast<std::size_t>(b)];
  }

  /// Returns the rows of the activations, padding included.
  [[nodiscard]] Index rows() const { return static_cast<Index>(is_token_.size()); }

  /// Returns the rows that hold tokens.
  [[nodiscard]] Index tokens() const { return tokens_; }

  /// Returns the largest `last - first`: the columns of an attention mask.
  [[nodiscard]] Index longest() const { return longest_; }

  /// Tells whether `row` in [0, rows()) holds a token.
  [[nodiscard]] bool is_token(Index row) const {
    return is_token_[static_cast<std::size_t>(row)] != 0;
  }

  /// Returns a number that is the same for batches of the same layout, and differs, but for luck,
  /// for others.
  [[nodiscard]] std::uint64_t layout() const { return layout_; }

  /// Returns each row's place in its sequence, counted from the sequence's first row: BERT's
  /// position ids.
  [[nodiscard]] std::span<const int> positions() const { return positions_; }

 private:
  static void require_length(Index length, Index least, const char* where) {
    if (length < least)
      throw ShapeError(message(where, ": length is ", length, ", expected at least ", least));
  }

  void clear() {
    sequences_.clear();
    is_token_.clear();
    positions_.clear();
    selected_ = false;
    tokens_ = longest_ = 0;
    layout_ = no_layout;
  }

  // A step of FNV-1a, over words.
  void mix(std::uint64_t word) { layout_ = (layout_ ^ word) * 0x100000001B3; }

  void add(const Sequence& sequence) {
    sequences_.push_back(sequence);
    for (const Index number : {sequence.rows, sequence.first, sequence.last})
      mix(static_cast<std::uint64_t>(number));
    for (Index i = 0; i < sequence.rows; ++i) {
      is_token_.push_back(i >= sequence.first && i < sequence.last ? 1 : 0);
      positions_.push_back(static_cast<int>(i));
    }
    tokens_ += sequence.tokens;
    longest_ = std::max(longest_, sequence.last - sequence.first);
  }

  std::vector<Sequence> sequences_;
  std::vector<std::uint8_t> is_token_;
  std::vector<int> positions_;
  Index tokens_ = 0;
  Index longest_ = 0;
  bool selected_ = false;
  static constexpr std::uint64_t no_layout = 0xCBF29CE484222325;
  std::uint64_t layout_ = no_layout;
};

}  // namespace lora
