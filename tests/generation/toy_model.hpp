#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include <lora/core/output.hpp>
#include <lora/nn/kv_cache.hpp>

namespace lora::test {

/// A model of ten tokens that counts on: after the tokens a, b comes (a + b) mod 10 for sure, and
/// after a alone a + 1. What a text is remembered by lies in the cache.
class ToyModel {
 public:
  using Scalar = float;

  [[nodiscard]] static Index vocab_size() { return 10; }
  [[nodiscard]] static Index max_positions() { return 12; }
  [[nodiscard]] static KVCache<float> make_cache(Index texts, Index capacity) {
    return KVCache<float>(1, texts, capacity, 1);
  }

  void next_logits(std::span<const int> ids, std::span<const int> counts, KVCache<float>& cache,
                   Output<float> logits) const {
    largest_pass = std::max(largest_pass, ids.size());
    Matrix<float> rows(static_cast<Index>(ids.size()), 1);
    Index texts = 0;
    for (std::size_t i = 0; i < ids.size(); ++i)
      rows(static_cast<Index>(i), 0) = static_cast<float>(ids[i]);
    for (const int count : counts) texts += count > 0 ? 1 : 0;
    MatrixRef<float> out = logits.shaped(texts, 10, "ToyModel", "logits");
    cache.append(0, counts, rows, rows);
    cache.commit(counts);
    out.setZero();
    Index row = 0;
    for (std::size_t b = 0; b < counts.size(); ++b) {
      if (counts[b] == 0) continue;
      const auto text = static_cast<Index>(b);
      const Index length = cache.length(text), begin = text * cache.capacity();
      const auto at = [&](Index i) { return static_cast<int>(cache.keys(0)(begin + i, 0)); };
      const int next = length == 1 ? at(0) + 1 : at(length - 1) + at(length - 2);
      out(row++, next % 10) = 5;
    }
  }

  mutable std::size_t largest_pass = 0;
};

}  // namespace lora::test
