#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "lora/nn/kv_cache.hpp"

namespace lora::models {

/// New tokens of texts whose beginnings lie in a cache: counts[b] of text b, 0 to leave it alone,
/// one after the other in `ids`. Views both, which must outlive it.
struct NewTokens {
  std::span<const int> ids;
  std::span<const int> counts;

  /// Returns N, the number of tokens.
  [[nodiscard]] Index rows() const { return static_cast<Index>(ids.size()); }

  /// Returns the number of texts that have new tokens.
  [[nodiscard]] Index texts() const {
    return static_cast<Index>(counts.size()) - std::count(counts.begin(), counts.end(), 0);
  }

  /// Throws ShapeError, naming `where`, for counts that do not fit the cache or the ids, for an id
  /// outside of [0, vocab_size), and for a text that would have more than `positions` tokens.
  template <class T, class Where>
  void check(const KVCache<T>& cache, Index vocab_size, Index positions, const Where& where) const {
    cache.check(counts, where);
    if (cache.rows_of(counts) != rows())
      throw ShapeError(message(where, ": ", ids.size(), " ids, expected the ",
                               cache.rows_of(counts), " that counts says"));
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (ids[i] < 0 || ids[i] >= vocab_size)
        throw ShapeError(message(where, ": id ", i, " is ", ids[i], ", expected a token in [0, ",
                                 vocab_size, ")"));
    for (std::size_t b = 0; b < counts.size(); ++b)
      if (cache.length(static_cast<Index>(b)) + counts[b] > positions)
        throw ShapeError(message(where, ": text ", b, " would have ",
                                 cache.length(static_cast<Index>(b)) + counts[b],
                                 " tokens, expected at most ", positions));
  }

  /// Writes each token's place in its text to `to`, N numbers.
  template <class T>
  void positions_in(const KVCache<T>& cache, int* to) const {
    for (std::size_t b = 0; b < counts.size(); ++b)
      for (int i = 0; i < counts[b]; ++i)
        *to++ = static_cast<int>(cache.length(static_cast<Index>(b))) + i;
  }

  /// Copies the row of each text's last new token from x (N, D) to y (texts(), D).
  template <class T>
  void take_last(ConstMatrixRef<T> x, MatrixRef<T> y) const {
    Index end = 0, text = 0;
    for (const int count : counts) {
      end += count;
      if (count > 0)
        std::copy_n(x.data() + (end - 1) * x.outerStride(), x.cols(),
                    y.data() + text++ * y.outerStride());
    }
  }
};

}  // namespace lora::models
