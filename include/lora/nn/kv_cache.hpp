#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "lora/core/matrix.hpp"

namespace lora {

/// The keys and values that a decoder's layers have computed for a batch of sequences, so that the
/// next tokens need not compute them again. All memory is taken at once:
/// 2 layers * sequences * capacity * kv_features scalars.
///
/// A forward pass appends its new rows layer by layer and commits them at the end:
///
///     cache.append(layer, counts, k, v);        // in each layer, before its attention
///     cache.commit(counts);                     // after the last one
///
/// A pass that throws in between leaves the cache as it was. One thread at a time writes; const
/// calls may run at once.
template <class T>
class KVCache {
 public:
  /// Makes room for `capacity` tokens of each of `sequences` sequences, in `layers` layers of
  /// kv_features = kv_heads * head_features columns. Throws ShapeError for sizes below 1 or whose
  /// product no memory has.
  KVCache(Index layers, Index sequences, Index capacity, Index kv_features)
      : layers_(layers), capacity_(capacity), features_(kv_features) {
    double elements = 2;
    for (const Index size : {layers, sequences, capacity, kv_features}) {
      if (size < 1)
        throw ShapeError(message("KVCache: layers = ", layers, ", sequences = ", sequences,
                                 ", capacity = ", capacity, ", kv_features = ", kv_features,
                                 ", expected at least 1 each"));
      elements *= static_cast<double>(size);
    }
    if (elements > static_cast<double>(std::numeric_limits<std::int64_t>::max()) / 16)
      throw ShapeError(message("KVCache: ", elements, " numbers are more than memory can hold"));
    lengths_.resize(static_cast<std::size_t>(sequences));
    marks_.resize(static_cast<std::size_t>(sequences), -1);
    memory_.resize(static_cast<std::size_t>(2 * layers * sequences * capacity * kv_features));
  }

  [[nodiscard]] Index layers() const { return layers_; }
  [[nodiscard]] Index sequences() const { return static_cast<Index>(lengths_.size()); }
  [[nodiscard]] Index capacity() const { return capacity_; }
  [[nodiscard]] Index features() const { return features_; }
  [[nodiscard]] std::size_t bytes() const { return memory_.size() * sizeof(T); }

  /// Returns how many tokens are committed of sequence `b`.
  [[nodiscard]] Index length(Index b) const { return lengths_.at(static_cast<std::size_t>(b)); }

  /// Returns the keys of a layer, (sequences * capacity, kv_features): sequence b begins at row
  /// b * capacity.
  [[nodiscard]] ConstMatrixRef<T> keys(Index layer) const { return part(2 * layer); }

  /// Returns the values of a layer, likewise.
  [[nodiscard]] ConstMatrixRef<T> values(Index layer) const { return part(2 * layer + 1); }

  /// Returns the rows that `counts` new tokens of each sequence make together.
  [[nodiscard]] Index rows_of(std::span<const int> counts) const {
    Index rows = 0;
    for (const int count : counts) rows += count;
    return rows;
  }

  /// Throws ShapeError, naming `where`, unless the layer is one, counts has a number of new tokens,
  /// 0 or more, for each sequence, and there is room for them.
  template <class Where>
  void check(Index layer, std::span<const int> counts, Index kv_features,
             const Where& where) const {
    if (layer < 0 || layer >= layers_)
      throw ShapeError(
          message(where, ": layer is ", layer, ", expected one of the cache's ", layers_));
    if (kv_features != features_)
      throw ShapeError(
          message(where, ": the cache has kv_features = ", features_, ", expected ", kv_features));
    check(counts, where);
  }

  /// Throws what the other does of `counts`.
  template <class Where>
  void check(std::span<const int> counts, const Where& where) const {
    if (counts.size() != lengths_.size())
      throw ShapeError(message(where, ": ", counts.size(), " counts, expected one for each of ",
                               lengths_.size(), " sequences of the cache"));
    for (std::size_t b = 0; b < counts.size(); ++b)
      if (counts[b] < 0 || lengths_[b] + counts[b] > capacity_)
        throw ShapeError(message(where, ": sequence ", b, " holds ", lengths_[b],
                                 " tokens and gets ", counts[b], ", expected 0 to ",
                                 capacity_ - lengths_[b], " more for the cache's capacity of ",
                                 capacity_));
  }

  /// Copies new keys and values (sum of counts, kv_features), sequence after sequence, behind what
  /// is committed. Throws ShapeError, and then nothing has changed.
  void append(Index layer, std::span<const int> counts, ConstMatrixRef<T> k, ConstMatrixRef<T> v) {
    constexpr const char* where = "KVCache::append";
    check(layer, counts, features_, where);
    const Index rows = rows_of(counts);
    require_shape(k, rows, features_, where, "k", "rows that counts says", "kv_features");
    require_shape(v, rows, features_, where, "v", "rows that counts says", "kv_features");
    Index row = 0;
    for (std::size_t b = 0; b < counts.size(); ++b) {
      const Index to = static_cast<Index>(b) * capacity_ + lengths_[b];
      for (Index i = 0; i < counts[b]; ++i, ++row) {
        std::copy_n(k.data() + row * k.outerStride(), features_, at(2 * layer, to + i));
        std::copy_n(v.data() + row * v.outerStride(), features_, at(2 * layer + 1, to + i));
      }
    }
  }

  /// Counts what was appended to all layers as held. Throws ShapeError, and then nothing has
  /// changed.
  void commit(std::span<const int> counts) {
    check(counts, "KVCache::commit");
    for (std::size_t b = 0; b < counts.size(); ++b) lengths_[b] += counts[b];
  }

  /// Forgets the tokens of sequence `b` from `length` on: to go on from an earlier point. Throws
  /// ShapeError for more than it holds.
  void truncate(Index b, Index length) {
    if (b < 0 || b >= sequences() || length < 0 || length > lengths_[static_cast<std::size_t>(b)])
      throw ShapeError(message("KVCache::truncate: sequence ", b, " to ", length,
                               " tokens, expected a sequence in [0, ", sequences(),
                               ") and no more than it holds"));
    lengths_[static_cast<std::size_t>(b)] = length;
    Index& mark = marks_[static_cast<std::size_t>(b)];
    if (mark >= length) mark = -1;
  }

  /// Notes a place of sequence `b`, at least 0, for whoever writes the cache: where an adapter
  /// begins. It may be beyond the tokens held. Truncating the sequence there or before forgets it.
  void mark(Index b, Index place) { marks_.at(static_cast<std::size_t>(b)) = place; }

  /// Returns the place of sequence `b` that was noted, or -1.
  [[nodiscard]] Index marked(Index b) const { return marks_.at(static_cast<std::size_t>(b)); }

  /// Forgets all tokens, and keeps the memory.
  void clear() {
    std::fill(lengths_.begin(), lengths_.end(), 0);
    std::fill(marks_.begin(), marks_.end(), -1);
  }

 private:
  [[nodiscard]] Index part_size() const { return sequences() * capacity_ * features_; }

  [[nodiscard]] ConstMatrixRef<T> part(Index number) const {
    return {memory_.data() + number * part_size(), sequences() * capacity_, features_, features_};
  }

  [[nodiscard]] T* at(Index number, Index row) {
    return memory_.data() + number * part_size() + row * features_;
  }

  Index layers_, capacity_, features_;
  std::vector<Index> lengths_;
  std::vector<Index> marks_;  // -1: none
  std::vector<T, Eigen::aligned_allocator<T>> memory_;
};

}  // namespace lora
