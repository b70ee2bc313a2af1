#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/text/utf8.hpp"

namespace lora::text {

/// A token and its id.
struct TokenId {
  std::u32string token;
  int id = 0;
};

/// A table of tokens that finds the longest one with which a text begins. The tokens are sorted,
/// and the search narrows them down one character at a time: a step costs the logarithm of their
/// number, whatever they are, and the search ends with the last character that any token shares. A
/// hash table's keys could be chosen to collide.
class TokenTable {
 public:
  /// A token that was found: its id and its length in characters.
  struct Match {
    int id;
    std::size_t length;
  };

  TokenTable() = default;

  /// Makes the table. Of equal tokens the last counts; empty tokens never match.
  explicit TokenTable(std::vector<TokenId> tokens) : tokens_(std::move(tokens)) {
    const auto less = [](const TokenId& a, const TokenId& b) { return a.token < b.token; };
    std::stable_sort(tokens_.begin(), tokens_.end(), less);
    const auto kept =
        std::unique(tokens_.rbegin(), tokens_.rend(),
                    [](const TokenId& a, const TokenId& b) { return a.token == b.token; });
    tokens_.erase(tokens_.begin(), kept.base());
  }

  /// Counts the tokens, each once.
  [[nodiscard]] std::size_t size() const { return tokens_.size(); }
  [[nodiscard]] bool empty() const { return tokens_.empty(); }

  /// Returns the longest token with which `text` begins, if there is one.
  [[nodiscard]] std::optional<Match> longest_prefix(std::span<const Character> text) const {
    std::optional<Match> longest;
    auto first = tokens_.begin(), last = tokens_.end();
    for (std::size_t depth = 0; depth < text.size(); ++depth) {
      const char32_t c = text[depth].value;
      // All tokens from first to last have the same `depth` characters; the one that ends there
      // stands before the others.
      if (first != last && first->token.size() == depth) ++first;
      first =
          std::partition_point(first, last, [&](const TokenId& t) { return t.token[depth] < c; });
      last =
          std::partition_point(first, last, [&](const TokenId& t) { return t.token[depth] == c; });
      if (first == last) break;
      if (first->token.size() == depth + 1) longest = Match{first->id, depth + 1};
    }
    return longest;
  }

  /// Returns the id of a token, if it is known.
  [[nodiscard]] std::optional<int> find(const std::u32string& token) const {
    const auto found =
        std::lower_bound(tokens_.begin(), tokens_.end(), token,
                         [](const TokenId& t, const std::u32string& key) { return t.token < key; });
    if (found == tokens_.end() || found->token != token) return std::nullopt;
    return found->id;
  }

 private:
  std::vector<TokenId> tokens_;
};

}  // namespace lora::text
