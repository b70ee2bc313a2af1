#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/text/added_tokens.hpp"
#include "lora/text/assemble.hpp"
#include "lora/text/bert_normalizer.hpp"
#include "lora/text/encoding.hpp"
#include "lora/text/token_batch.hpp"
#include "lora/text/token_template.hpp"
#include "lora/text/word_piece.hpp"

namespace lora::text {

/// A tokenizer of the BERT family: it turns text into the ids that a model was trained with. They
/// equal those of Hugging Face's tokenizers for any UTF-8; bytes that are not UTF-8 count as
/// U+FFFD, as with Python's errors="replace". All calls are const and may run in parallel. A call
/// takes at most the text's length times the longest token's.
///
/// The text is split at added tokens, then normalized, then split at white space and around
/// punctuation; the words are cut into pieces.
class BertTokenizer {
 public:
  /// Puts a tokenizer together. `pad_id` is what pad() fills with. Throws ConfigError for an added
  /// token of which normalization leaves nothing.
  BertTokenizer(WordPiece model, const BertNormalizer& normalizer, std::vector<AddedToken> added,
                TokenTemplate templates, int pad_id)
      : model_(std::move(model)),
        normalizer_(normalizer),
        added_(std::move(added)),
        templates_(std::move(templates)),
        pad_id_(pad_id) {
    std::vector<AddedToken> plain, normalized;
    std::vector<std::u32string> plain_contents, normalized_contents;
    for (const AddedToken& token : added_) {
      if (!token.normalized) {
        plain.push_back(token);
        plain_contents.push_back(utf32(token.content));
        continue;
      }
      std::u32string content;
      for (const Character& c : normalizer_(characters_of(token.content)))
        content.push_back(c.value);
      normalized.push_back(token);
      normalized_contents.push_back(std::move(content));
    }
    as_they_came_ = AddedTokens(std::move(plain), plain_contents);
    in_normalized_ = AddedTokens(std::move(normalized), normalized_contents);
  }

  /// Returns what the tokenizer is made of.
  [[nodiscard]] const WordPiece& model() const { return model_; }
  [[nodiscard]] const BertNormalizer& normalizer() const { return normalizer_; }
  [[nodiscard]] const std::vector<AddedToken>& added_tokens() const { return added_; }
  [[nodiscard]] const TokenTemplate& templates() const { return templates_; }

  /// Returns the id that pad() fills with.
  [[nodiscard]] int pad_id() const { return pad_id_; }

  /// Returns the id of a token of the vocabulary or an added one.
  [[nodiscard]] std::optional<int> id_of(const std::string& token) const {
    for (const AddedToken& added : added_)
      if (added.content == token) return added.id;
    return model_.id_of(token);
  }

  /// Returns the token with that id, or nullptr.
  [[nodiscard]] const std::string* token_of(int id) const {
    for (const AddedToken& added : added_)
      if (added.id == id) return &added.content;
    return model_.token_of(id);
  }

  /// Encodes one text. Throws ConfigError if max_length is too small for the model's own tokens.
  [[nodiscard]] Encoding encode(std::string_view text, const EncodeOptions& options = {}) const {
    return assemble(templates_, tokens(text), nullptr, options);
  }

  /// Encodes two texts as one input, of which the longer is truncated first. Throws likewise.
  [[nodiscard]] Encoding encode(std::string_view first, std::string_view second,
                                const EncodeOptions& options = {}) const {
    const Encoding other = tokens(second);
    return assemble(templates_, tokens(first), &other, options);
  }

  /// Encodes a text that was split into words before. Encoding::words counts these words, and
  /// offsets lie within them. Throws as the others do.
  [[nodiscard]] Encoding encode_words(std::span<const std::string> words,
                                      const EncodeOptions& options = {}) const {
    Encoding all;
    for (std::size_t i = 0; i < words.size(); ++i)
      append_tokens(words[i], static_cast<Index>(i), all);
    return assemble(templates_, all, nullptr, options);
  }

  /// Pads encodings to a batch with this tokenizer's padding token.
  [[nodiscard]] TokenBatch pad(std::span<const Encoding> encodings, Padding padding = {}) const {
    padding.pad_id = pad_id_;
    return text::pad(encodings, padding);
  }

 private:
  [[nodiscard]] Encoding tokens(std::string_view text) const {
    Encoding encoding;
    append_tokens(text, std::nullopt, encoding);
    return encoding;
  }

  // Appends the tokens of a text; without `word` its words are counted from 0.
  void append_tokens(std::string_view text, std::optional<Index> word, Encoding& out) const {
    const std::vector<Character> characters = characters_of(text);
    Index counted = 0;
    std::vector<AddedTokens::Part> parts, inner;
    std::vector<WordPiece::Piece> pieces;
    const auto push = [&](std::span<const Character> of, int id) {
      out.push_back(id, 0, word.value_or(counted), {of.front().origin.begin, of.back().origin.end});
    };
    const auto push_word = [&](std::span<const Character> of) {
      pieces.clear();
      model_.cut(of, pieces);
      for (const auto& piece : pieces)
        push(of.subspan(piece.begin, piece.end - piece.begin), piece.id);
      ++counted;
    };
    const auto push_added = [&](std::span<const Character> of, int id) {
      push(of, id);
      ++counted;
    };
    as_they_came_.split(characters, parts);
    for (const auto& part : parts) {
      const auto raw = std::span(characters).subspan(part.begin, part.end - part.begin);
      if (part.id) {
        push_added(raw, *part.id);
        continue;
      }
      const std::vector<Character> normalized = normalizer_(raw);
      inner.clear();
      in_normalized_.split(normalized, inner);
      for (const auto& piece : inner) {
        const auto clean = std::span(normalized).subspan(piece.begin, piece.end - piece.begin);
        if (piece.id)
          push_added(clean, *piece.id);
        else
          for_each_word(clean, push_word);
      }
    }
  }

  // Words are what white space separates; each punctuation character is a word of its own.
  template <class Function>
  static void for_each_word(std::span<const Character> text, const Function& function) {
    std::size_t begin = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
      const bool space = is_whitespace(text[at].value);
      const bool punctuation = !space && is_punctuation(text[at].value);
      if (!space && !punctuation) continue;
      if (at > begin) function(text.subspan(begin, at - begin));
      if (punctuation) function(text.subspan(at, 1));
      begin = at + 1;
    }
    if (begin < text.size()) function(text.subspan(begin));
  }

  WordPiece model_;
  BertNormalizer normalizer_;
  std::vector<AddedToken> added_;
  TokenTemplate templates_;
  int pad_id_;
  AddedTokens as_they_came_;
  AddedTokens in_normalized_;
};

}  // namespace lora::text
