#pragma once

#include <concepts>
#include <span>

#include "lora/core/output.hpp"
#include "lora/nn/kv_cache.hpp"

namespace lora::generation {

/// Is satisfied by a language model that goes on from a cache:
///
///     vocab_size(), max_positions()       tokens, and the most that a text may have
///     make_cache(texts, capacity)         room for keys and values, a KVCache
///     next_logits(ids, counts, cache, y)  computes the logits after new tokens: counts[b] of text
///                                         b, one after the other in ids; y gets a row for each
///                                         text that has new ones. Throws before the cache changes.
///
/// It may have expect_prompt(b, prompt, cache), which is told each text before its tokens come.
template <class Model>
concept CausalModel = requires(const Model& model, std::span<const int> ids,
                               KVCache<typename Model::Scalar>& cache,
                               Output<typename Model::Scalar> logits) {
  { model.vocab_size() } -> std::convertible_to<Index>;
  { model.max_positions() } -> std::convertible_to<Index>;
  { model.make_cache(Index{1}, Index{1}) } -> std::same_as<KVCache<typename Model::Scalar>>;
  model.next_logits(ids, ids, cache, logits);
};

}  // namespace lora::generation
