#pragma once

#include <algorithm>
#include <cstddef>

#include "lora/nn/attention_config.hpp"
#include "lora/nn/sequences.hpp"

namespace lora {

/// The keys that one query sees: [begin, end) of its sequence's run.
struct VisibleKeys {
  Index begin = 0;
  Index end = 0;

  [[nodiscard]] Index size() const { return end - begin; }
};

/// One head of one sequence in an Attention: which rows are its queries and its keys, and which
/// keys each query sees. Queries and keys count from the first token of their sequence. Views the
/// layouts, which are null where there is no padding between tokens.
struct AttentionHead {
  const Sequences* queries = nullptr;
  const Sequences* keys = nullptr;
  Sequences::Sequence query = {};
  Sequences::Sequence key = {};
  Index head = 0;
  bool causal = false;
  Index window = 0;  ///< 0: none

  [[nodiscard]] Index query_begin() const { return query.begin + query.first; }
  [[nodiscard]] Index query_count() const { return query.last - query.first; }
  [[nodiscard]] Index key_begin() const { return key.begin + key.first; }
  [[nodiscard]] Index key_count() const { return key.last - key.first; }
  [[nodiscard]] bool query_is_padding(Index i) const {
    return query.holes && !queries->is_token(query_begin() + i);
  }
  [[nodiscard]] bool key_is_padding(Index j) const {
    return key.holes && !keys->is_token(key_begin() + j);
  }

  /// Returns the keys that query `i` sees: all, or with a causal attention those up to its own and,
  /// with a window w, of those the last w: i - w < j <= i (transformers' sliding_window).
  [[nodiscard]] VisibleKeys visible(Index i) const {
    if (!causal) return {0, key_count()};
    const Index end = std::max<Index>(0, place(i) + 1);
    return {window == 0 ? 0 : std::max<Index>(0, end - window), end};
  }

  /// Returns the keys that any of the queries [first, first + count) sees, count at least 1.
  [[nodiscard]] VisibleKeys visible(Index first, Index count) const {
    return {visible(first).begin, visible(first + count - 1).end};
  }

 private:
  // The key that is the same token as query `i`.
  [[nodiscard]] Index place(Index i) const {
    if (queries != nullptr && queries->selected())
      return queries->positions()[static_cast<std::size_t>(query_begin() + i)] - key.first;
    return key_count() - query_count() + i;
  }
};

}  // namespace lora
