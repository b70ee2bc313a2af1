#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/text/token_table.hpp"
#include "lora/text/utf8.hpp"

namespace lora::text {

/// The settings of a WordPiece model, by the names and with the defaults of tokenizer.json.
struct WordPieceConfig {
  std::string unk_token = "[UNK]";               ///< stands for a word that cannot be put together
  std::string continuing_subword_prefix = "##";  ///< begins the pieces that do not begin a word
  std::size_t max_input_chars_per_word = 100;    ///< a longer word is unknown; at most 10,000
};

/// A WordPiece model, which cuts words into the pieces of a vocabulary: from the left, the longest
/// first (Wu et al. 2016, arXiv:1609.08144). A word takes at most its length times that of the
/// longest piece.
class WordPiece {
 public:
  /// A piece of a word: its token's id, and its characters [begin, end).
  struct Piece {
    int id;
    std::size_t begin;
    std::size_t end;
  };

  /// The largest max_input_chars_per_word, which bounds the work that a word can cause.
  static constexpr std::size_t word_limit = 10'000;

  /// Makes a model from the tokens and their ids; of equal tokens the last counts. Throws
  /// ConfigError if unk_token is not among them, an id is negative, or max_input_chars_per_word is
  /// above the limit.
  WordPiece(std::span<const std::pair<std::string, int>> vocabulary, const WordPieceConfig& config)
      : config_(config) {
    if (config.max_input_chars_per_word > word_limit)
      throw ConfigError(message("WordPiece: max_input_chars_per_word is ",
                                config.max_input_chars_per_word, ", expected at most ",
                                word_limit));
    const std::u32string prefix = utf32(config.continuing_subword_prefix);
    std::vector<TokenId> whole, continuing;
    for (const auto& [token, id] : vocabulary) {
      if (id < 0)
        throw ConfigError(message("WordPiece: the id of \"", printable(token), "\" is ", id,
                                  ", expected at least 0"));
      std::u32string values = utf32(token);
      if (values.starts_with(prefix)) continuing.push_back({values.substr(prefix.size()), id});
      whole.push_back({std::move(values), id});
      tokens_[id] = token;
    }
    whole_ = TokenTable(std::move(whole));
    continuing_ = TokenTable(std::move(continuing));
    const auto unknown = id_of(config.unk_token);
    if (!unknown)
      throw ConfigError("WordPiece: unk_token \"" + printable(config.unk_token) +
                        "\" is not in the vocabulary");
    unknown_ = *unknown;
  }

  /// Returns the settings.
  [[nodiscard]] const WordPieceConfig& config() const { return config_; }

  /// Counts the tokens of the vocabulary, each once.
  [[nodiscard]] std::size_t size() const { return whole_.size(); }

  /// Returns the largest id; -1 if there is no token.
  [[nodiscard]] int largest_id() const { return tokens_.empty() ? -1 : tokens_.rbegin()->first; }

  /// Returns the id of a token, if the vocabulary has it.
  [[nodiscard]] std::optional<int> id_of(const std::string& token) const {
    return whole_.find(utf32(token));
  }

  /// Returns the token with that id, or nullptr.
  [[nodiscard]] const std::string* token_of(int id) const {
    const auto found = tokens_.find(id);
    return found == tokens_.end() ? nullptr : &found->second;
  }

  /// Appends the pieces of a word: unk_token alone if the word is too long or a rest of it begins
  /// with no piece.
  void cut(std::span<const Character> word, std::vector<Piece>& pieces) const {
    const std::size_t before = pieces.size();
    const bool fits = word.size() <= config_.max_input_chars_per_word;
    for (std::size_t at = 0; fits && at < word.size();) {
      const auto match = (at == 0 ? whole_ : continuing_).longest_prefix(word.subspan(at));
      if (!match) {
        pieces.resize(before, {});
        break;
      }
      pieces.push_back({match->id, at, at + match->length});
      at += match->length;
    }
    if (pieces.size() == before && !word.empty()) pieces.push_back({unknown_, 0, word.size()});
  }

 private:
  WordPieceConfig config_;
  std::map<int, std::string> tokens_;
  TokenTable whole_;
  TokenTable continuing_;
  int unknown_ = 0;
};

}  // namespace lora::text
