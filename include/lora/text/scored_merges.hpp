#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/text/utf8.hpp"

namespace lora::text {

/// The merges of a vocabulary whose tokens have scores instead: any two tokens become one where
/// both together spell it, the one of the highest score first, of equal ones from the left
/// (SentencePiece's BPE, as in llama.cpp).
struct ScoredMerges {
  static constexpr std::size_t longest = 256;  ///< bytes of a token

  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<std::size_t> ranks;  ///< of each, equal where the scores are

  /// Finds all ways to put tokens together from two. `scores` has one for each token of
  /// `vocabulary`. The time grows with the tokens' length together times the logarithm of their
  /// number, and with the length of the longest. Throws ConfigError for a token of more than
  /// `longest` bytes.
  ScoredMerges(std::span<const std::pair<std::string, int>> vocabulary,
               std::span<const double> scores) {
    std::map<std::string_view, bool> known;
    for (const auto& [token, id] : vocabulary) known.emplace(token, true);
    std::vector<std::size_t> order(vocabulary.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    std::size_t rank = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i > 0 && scores[order[i]] != scores[order[i - 1]]) ++rank;
      const std::string& token = vocabulary[order[i]].first;
      // The time grows with the square of its length, and a token of a file that nobody vouches for
      // may be as long as the file.
      if (token.size() > longest)
        throw ConfigError(message("token ", vocabulary[order[i]].second, " has ", token.size(),
                                  " bytes, expected at most ", longest));
      for (std::size_t cut = 1; cut < token.size(); ++cut) {
        const std::string_view whole(token);
        if (!known.contains(whole.substr(0, cut)) || !known.contains(whole.substr(cut))) continue;
        merges.emplace_back(whole.substr(0, cut), whole.substr(cut));
        ranks.push_back(rank);
      }
    }
  }
};

}  // namespace lora::text
