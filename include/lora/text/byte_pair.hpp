#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/core/utf8.hpp"
#include "lora/text/byte_alphabet.hpp"
#include "lora/text/fallback_token.hpp"
#include "lora/text/merge_table.hpp"

namespace lora::text {

/// The settings of a BPE model, by the names and with the defaults of tokenizer.json.
struct BytePairConfig {
  bool ignore_merges = false;  ///< takes a piece that is a token whole, whatever the merges make
  /// Begins with characters instead of bytes; of one that is no token the bytes are, "<0x0A>".
  bool byte_fallback = false;
  std::optional<std::string> unk_token = {};  ///< for a character that has no bytes either
  bool fuse_unk = false;                      ///< one for several such in a row
};

/// A BPE model: it begins with the bytes of a piece, or with its characters, and merges neighbours,
/// those of the lowest rank first and from the left (Sennrich et al. 2016, arXiv:1508.07909;
/// Radford et al. 2019; with byte_fallback as Llama 2). Equal to Hugging Face's tokenizers: also in
/// that bytes which the vocabulary lacks are left out before anything merges, as SmolLM2's lacks
/// U+0004. Calls are const and may run in parallel. A piece of n bytes takes n log n steps.
class BytePair {
 public:
  /// A token of a piece: its id, and its bytes [begin, end).
  struct Token {
    int id;
    std::size_t begin;
    std::size_t end;
  };

  /// Makes a model from tokens with their ids, spelled as by spelled_bytes unless it begins with
  /// characters, and from merges, whose rank is their place in the list, or `ranks` says. Throws
  /// ConfigError for a negative id, a vocabulary that lacks
  /// a printable byte of ASCII, a space or a line's end, and a merge of what is no token or makes
  /// none.
  BytePair(std::span<const std::pair<std::string, int>> vocabulary,
           std::span<const std::pair<std::string, std::string>> merges,
           const BytePairConfig& config = {}, std::span<const std::size_t> ranks = {})
      : config_(config) {
    for (const auto& [token, id] : vocabulary) {
      if (id < 0)
        throw ConfigError(message("BytePair: the id of \"", printable(token), "\" is ", id,
                                  ", expected at least 0"));
      ids_[token] = id;
      tokens_[id] = token;
    }
    for (unsigned byte = 0; byte < bytes_.size(); ++byte) {
      if (config.byte_fallback) {
        bytes_[byte] = id_of(fallback_token(static_cast<unsigned char>(byte))).value_or(-1);
        continue;
      }
      const std::string spelled = spelled_bytes(std::string(1, static_cast<char>(byte)));
      const bool ordinary = byte == '\n' || (byte >= ' ' && byte <= '~');
      bytes_[byte] = ordinary ? require(spelled, "a byte, ") : id_of(spelled).value_or(-1);
    }
    if (config.unk_token) unknown_ = require(*config.unk_token, "for what is unknown, ");
    std::vector<MergeTable::Merge> table;
    table.reserve(merges.size());
    for (const auto& [left, right] : merges) {
      const int first = require(left, "of a merge, "), second = require(right, "of a merge, ");
      table.push_back({first, second, require(left + right, "which a merge makes, ")});
    }
    merges_ = MergeTable(table, ranks);
  }

  /// Returns the settings.
  [[nodiscard]] const BytePairConfig& config() const { return config_; }

  /// Counts the tokens of the vocabulary, each once.
  [[nodiscard]] std::size_t size() const { return ids_.size(); }

  /// Returns the largest id.
  [[nodiscard]] int largest_id() const { return tokens_.rbegin()->first; }

  /// Returns the id of a token as the vocabulary spells it, if it has it.
  [[nodiscard]] std::optional<int> id_of(const std::string& token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  /// Returns the token with that id as the vocabulary spells it, or nullptr.
  [[nodiscard]] const std::string* token_of(int id) const {
    const auto found = tokens_.find(id);
    return found == tokens_.end() ? nullptr : &found->second;
  }

  /// Appends the tokens of a piece, given as its bytes.
  void cut(std::string_view piece, std::vector<Token>& tokens) const {
    if (config_.ignore_merges && !piece.empty())
      if (const auto whole =
              id_of(config_.byte_fallback ? std::string(piece) : spelled_bytes(piece))) {
        tokens.push_back({*whole, 0, piece.size()});
        return;
      }
    std::vector<Symbol> symbols;
    symbols.reserve(piece.size());
    if (config_.byte_fallback)
      begin_with_characters(piece, symbols);
    else
      begin_with_bytes(piece, 0, piece.size(), symbols);
    merge(symbols);
    for (std::size_t at = 0; at < symbols.size(); at = symbols[at].next)
      tokens.push_back({symbols[at].id, symbols[at].begin, symbols[at].end});
  }

 private:
  // A link of the list of what is merged so far; id is -1 for what became part of the one before.
  struct Symbol {
    int id;
    std::size_t begin;
    std::size_t end;
    std::size_t previous;  // the number of the one before plus 1; 0 if there is none
    std::size_t next;      // the number of the one behind
  };

  struct Candidate {
    std::size_t rank;
    int id;
    std::size_t at;

    // The queue gives the greatest first.
    friend bool operator<(const Candidate& a, const Candidate& b) {
      return a.rank > b.rank || (a.rank == b.rank && a.at > b.at);
    }
  };

  [[nodiscard]] int require(const std::string& token, const char* what) const {
    const auto id = id_of(token);
    if (!id)
      throw ConfigError(
          message("BytePair: \"", printable(token), "\", ", what, "is not in the vocabulary"));
    return *id;
  }

  static void push(std::vector<Symbol>& symbols, int id, std::size_t begin, std::size_t end) {
    const std::size_t at = symbols.size();
    symbols.push_back({id, begin, end, at, at + 1});
  }

  void begin_with_bytes(std::string_view piece, std::size_t begin, std::size_t end,
                        std::vector<Symbol>& symbols) const {
    for (std::size_t i = begin; i < end; ++i)
      if (const int id = bytes_[static_cast<unsigned char>(piece[i])]; id >= 0)
        push(symbols, id, i, i + 1);
  }

  void begin_with_characters(std::string_view piece, std::vector<Symbol>& symbols) const {
    bool unknown_before = false;
    for (std::size_t i = 0; i < piece.size();) {
      const std::size_t begin = i;
      i += code_point_at(piece, i).length;
      const std::string character(piece.substr(begin, i - begin));
      const auto id = id_of(character);
      const bool spelled = std::all_of(character.begin(), character.end(), [&](char byte) {
        return bytes_[static_cast<unsigned char>(byte)] >= 0;
      });
      const bool unknown = !id && !spelled;
      if (id)
        push(symbols, *id, begin, i);
      else if (spelled)
        begin_with_bytes(piece, begin, i, symbols);
      else if (unknown_before && config_.fuse_unk)
        symbols.back().end = i;
      else if (unknown_ >= 0)
        push(symbols, unknown_, begin, i);
      unknown_before = unknown && unknown_ >= 0;
    }
  }

  void merge(std::vector<Symbol>& symbols) const {
    std::priority_queue<Candidate> queue;
    const auto consider = [&](std::size_t at) {
      const std::size_t next = symbols[at].next;
      if (next == symbols.size()) return;
      if (const auto found = merges_.find(symbols[at].id, symbols[next].id))
        queue.push({found->rank, found->id, at});
    };
    for (std::size_t at = 0; at < symbols.size(); ++at) consider(at);
    while (!queue.empty()) {
      const Candidate best = queue.top();
      queue.pop();
      Symbol& left = symbols[best.at];
      if (left.id < 0 || left.next == symbols.size()) continue;
      Symbol& right = symbols[left.next];
      // What stood here when the candidate was queued may have been merged otherwise since.
      const auto found = merges_.find(left.id, right.id);
      if (!found || found->id != best.id) continue;
      left.id = best.id;
      left.end = right.end;
      left.next = right.next;
      right.id = -1;
      if (left.next < symbols.size()) symbols[left.next].previous = best.at + 1;
      if (left.previous > 0) consider(left.previous - 1);
      consider(best.at);
    }
  }

  BytePairConfig config_;
  std::map<std::string, int> ids_;
  std::map<int, std::string> tokens_;
  std::array<int, 256> bytes_{};
  int unknown_ = -1;
  MergeTable merges_;
};

}  // namespace lora::text
