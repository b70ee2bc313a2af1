#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/layers/adapter_owner.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/layers/adapter_set.hpp"
#include "lora/nn/kv_cache.hpp"
#include "lora/nn/sequences.hpp"

namespace lora::models {

/// The tokens that invoke an adapter (aLoRA; PEFT 0.21's alora_invocation_tokens), and which rows
/// of a batch are the adapter's for them: those of a text from the last place on where it has the
/// tokens. Rows before it, and texts without them, are the base model's. The adapter is the one
/// that the model was built with, "default": where another is active, which would act on all rows
/// if it is an ordinary one, layers throw StateError.
class Invocation {
 public:
  /// Takes the tokens; none: every row is the adapter's, and nothing is to be routed.
  explicit Invocation(std::vector<int> tokens) : tokens_(std::move(tokens)) {}

  /// Tells whether there are tokens.
  [[nodiscard]] bool exists() const { return !tokens_.empty(); }

  /// Returns where the tokens begin in `text` for the last time, or nothing.
  [[nodiscard]] std::optional<Index> last_in(std::span<const int> text) const {
    const auto found = std::find_end(text.begin(), text.end(), tokens_.begin(), tokens_.end());
    if (found == text.end()) return std::nullopt;
    return static_cast<Index>(found - text.begin());
  }

  /// Returns the routes of whole texts' rows: to the active adapter, or none.
  [[nodiscard]] AdapterRoutes rows(std::span<const int> ids, const Sequences& texts) const {
    Rows rows;
    for (Index b = 0; b < texts.size(); ++b)
      rows.add(texts[b].rows, last_in(ids.subspan(static_cast<std::size_t>(texts[b].begin),
                                                  static_cast<std::size_t>(texts[b].rows))));
    return rows.routes();
  }

  /// Returns those of new tokens of texts whose beginnings are in `cache`. A text in which the
  /// adapter was invoked goes on with it. In others the tokens are looked for among the new ones:
  /// a text's first, or several at once; a single one that goes on with a text, as in generation,
  /// changes nothing, as in PEFT. For texts that come in parts see expect.
  template <class T>
  [[nodiscard]] AdapterRoutes rows(std::span<const int> ids, std::span<const int> counts,
                                   const KVCache<T>& cache) const {
    Rows rows;
    for_each_new(ids, counts, cache,
                 [&](Index, Index count, std::optional<Index> begin) { rows.add(count, begin); });
    return rows.routes();
  }

  /// Marks where the adapter begins in text `b`, whose tokens will be `prompt` and may come in
  /// parts: the place where they have the tokens for the last time.
  template <class T>
  void expect(Index b, std::span<const int> prompt, KVCache<T>& cache) const {
    if (const auto begin = last_in(prompt)) cache.mark(b, *begin);
  }

  /// Marks the texts that these tokens, which the cache does not count yet, invoke the adapter in.
  template <class T>
  void mark(std::span<const int> ids, std::span<const int> counts, KVCache<T>& cache) const {
    for_each_new(ids, counts, cache, [&](Index b, Index, std::optional<Index> begin) {
      if (begin && cache.marked(b) < 0) cache.mark(b, cache.length(b) + *begin);
    });
  }

 private:
  // The rows of texts, one after the other, each cut in two where its adapter begins.
  class Rows {
   public:
    void add(Index count, std::optional<Index> begin) {
      const Index before = begin.value_or(count);
      names_.insert(names_.end(), {base_adapter, active_adapters});
      lengths_.insert(lengths_.end(), {static_cast<int>(before), static_cast<int>(count - before)});
    }

    [[nodiscard]] AdapterRoutes routes() const {
      // A group without rows stays: biases train beside the adapter in every batch, as in PEFT.
      AdapterRoutes routes = AdapterRoutes(names_).expanded(lengths_);
      routes.let_layers_lack_adapters();
      routes.let_only_be_active(default_adapter);
      return routes;
    }

   private:
    std::vector<std::string> names_;
    std::vector<int> lengths_;
  };

  // Calls use(text, number of new tokens, which of them is the adapter's first).
  template <class T, class Use>
  void for_each_new(std::span<const int> ids, std::span<const int> counts, const KVCache<T>& cache,
                    const Use& use) const {
    std::size_t first = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const auto b = static_cast<Index>(i);
      const auto count = static_cast<std::size_t>(counts[i]);
      std::optional<Index> begin;
      if (cache.marked(b) >= 0)
        begin = std::clamp<Index>(cache.marked(b) - cache.length(b), 0, counts[i]);
      else if (count > 1 || (count == 1 && cache.length(b) == 0))
        begin = last_in(ids.subspan(first, count));
      use(b, static_cast<Index>(count), begin);
      first += count;
    }
  }

  std::vector<int> tokens_;
};

}  // namespace lora::models
