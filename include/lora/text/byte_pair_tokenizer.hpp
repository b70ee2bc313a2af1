#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/text/added_tokens.hpp"
#include "lora/text/assemble.hpp"
#include "lora/text/byte_alphabet.hpp"
#include "lora/text/byte_pair.hpp"
#include "lora/text/compose.hpp"
#include "lora/text/encoding.hpp"
#include "lora/text/pre_tokenizer.hpp"
#include "lora/text/space_mark.hpp"
#include "lora/text/token_template.hpp"

namespace lora::text {

/// A tokenizer of BPE: byte-level, as of GPT-2, Llama 3, Qwen2 and SmolLM, or over characters with
/// marked spaces, as of Llama 2, Mistral and TinyLlama. Its ids equal those of Hugging Face's
/// tokenizers for any UTF-8; bytes that are not UTF-8 count as U+FFFD. A text that
/// spells a special token, such as the end of a turn, stays text unless
/// EncodeOptions::parse_special asks for the token. All calls are const and may run in parallel.
class BytePairTokenizer {
 public:
  /// Puts a tokenizer together. Texts are composed (NFC) first if `composes`; where spaces are
  /// marked, the pattern counts nothing and pieces are not cut. Throws ConfigError for an added
  /// token that is empty or too long.
  BytePairTokenizer(BytePair model, SplitPattern pattern, bool composes,
                    const std::vector<AddedToken>& added, TokenTemplate templates,
                    const Spaces& spaces = {})
      : model_(std::move(model)),
        pattern_(pattern),
        composes_(composes),
        templates_(std::move(templates)),
        spaces_(spaces) {
    std::vector<AddedToken> plain, plain_and_special, normalized, normalized_and_special;
    for (const AddedToken& token : added) {
      ids_[token.content] = token.id;
      added_[token.id] = token;
      auto& all = token.normalized ? normalized_and_special : plain_and_special;
      all.push_back(token);
      if (!token.special) (token.normalized ? normalized : plain).push_back(token);
    }
    raw_[0] = sought(plain, false);
    raw_[1] = sought(plain_and_special, false);
    normalized_[0] = sought(normalized, composes);
    normalized_[1] = sought(normalized_and_special, composes);
  }

  /// Returns what the tokenizer is made of.
  [[nodiscard]] const BytePair& model() const { return model_; }
  [[nodiscard]] SplitPattern pattern() const { return pattern_; }
  [[nodiscard]] const TokenTemplate& templates() const { return templates_; }
  [[nodiscard]] const Spaces& spaces() const { return spaces_; }

  /// Returns the id of an added token or one of the vocabulary, as that spells it.
  [[nodiscard]] std::optional<int> id_of(const std::string& token) const {
    const auto found = ids_.find(token);
    return found != ids_.end() ? std::optional(found->second) : model_.id_of(token);
  }

  /// Encodes one text. Throws ConfigError if max_length is too small for the model's own tokens.
  [[nodiscard]] Encoding encode(std::string_view text, const EncodeOptions& options = {}) const {
    return assemble(templates_, tokens(text, options.parse_special), nullptr, options);
  }

  /// Encodes two texts as one input, of which the longer is truncated first. Throws likewise.
  [[nodiscard]] Encoding encode(std::string_view first, std::string_view second,
                                const EncodeOptions& options = {}) const {
    const Encoding other = tokens(second, options.parse_special);
    return assemble(templates_, tokens(first, options.parse_special), &other, options);
  }

  /// Tells whether a token is special, so that decoding leaves it out unless asked.
  [[nodiscard]] bool is_special(int id) const {
    const auto found = added_.find(id);
    return found != added_.end() && found->second.special;
  }

  /// Returns the bytes that a token stands for; nothing for an id that no token has. They need not
  /// be whole characters.
  [[nodiscard]] std::string bytes_of(int id) const {
    const auto found = added_.find(id);
    const std::string* token = found != added_.end() ? &found->second.content : model_.token_of(id);
    if (token == nullptr) return {};
    if (spaces_.mark == SpaceMark::none) return bytes_of_token(*token).value_or(*token);
    const auto byte = byte_of_fallback_token(*token);
    return byte ? std::string(1, static_cast<char>(*byte)) : unmarked(*token);
  }

  /// Returns the text of tokens as UTF-8, where bytes that make no character become U+FFFD. Ids
  /// that no token has are left out; so are special tokens if `skip_special`. With marked spaces a
  /// run of bytes that is not UTF-8 as a whole is one U+FFFD for each of them.
  [[nodiscard]] std::string decode(std::span<const int> ids, bool skip_special = true) const {
    std::string bytes, text;
    const bool marked = spaces_.mark != SpaceMark::none;
    const auto finish = [&] {
      const bool whole = !marked || is_utf8(bytes);
      if (whole)
        for (const Character& character : characters_of(bytes)) append_utf8(character.value, text);
      else
        for (std::size_t i = 0; i < bytes.size(); ++i) append_utf8(0xFFFD, text);
      bytes.clear();
    };
    for (const int id : ids) {
      if (skip_special && is_special(id)) continue;
      const bool byte = !marked || is_byte(id);
      if (!byte) finish();
      bytes += bytes_of(id);
      if (!byte) finish();
    }
    finish();
    if (spaces_.strip && text.starts_with(' ')) text.erase(0, 1);
    return text;
  }

 private:
  [[nodiscard]] static AddedTokens sought(const std::vector<AddedToken>& tokens, bool composes) {
    std::vector<std::u32string> contents;
    for (const AddedToken& token : tokens) {
      std::u32string& content = contents.emplace_back();
      const std::vector<Character> characters = characters_of(token.content);
      for (const Character& c : composes ? compose(characters) : characters)
        content.push_back(c.value);
    }
    return {tokens, contents};
  }

  [[nodiscard]] bool is_byte(int id) const {
    const std::string* token = model_.token_of(id);
    return !added_.contains(id) && token != nullptr && byte_of_fallback_token(*token).has_value();
  }

  [[nodiscard]] std::vector<Character> normalized(std::span<const Character> raw,
                                                  bool first) const {
    std::vector<Character> clean =
        composes_ ? compose(raw) : std::vector<Character>(raw.begin(), raw.end());
    return spaces_.mark == SpaceMark::none ? clean : marked(clean, spaces_.mark, first);
  }

  // Encoding::words counts added tokens and pieces.
  [[nodiscard]] Encoding tokens(std::string_view text, bool special) const {
    Encoding out;
    Index word = 0;
    std::vector<AddedTokens::Part> parts, inner;
    const auto push_added = [&](std::span<const Character> of, int id) {
      out.push_back(id, 0, word++, {of.front().origin.begin, of.back().origin.end});
    };
    const auto push_piece = [&](std::span<const Character> piece) { cut(piece, word++, out); };
    const std::vector<Character> characters = characters_of(text);
    raw_[special ? 1 : 0].split(characters, parts);
    for (const auto& part : parts) {
      const auto raw = std::span(characters).subspan(part.begin, part.end - part.begin);
      if (part.id) {
        push_added(raw, *part.id);
        continue;
      }
      const std::vector<Character> clean = normalized(raw, part.begin == 0);
      inner.clear();
      normalized_[special ? 1 : 0].split(clean, inner);
      for (const auto& rest : inner) {
        const auto run = std::span(clean).subspan(rest.begin, rest.end - rest.begin);
        if (rest.id)
          push_added(run, *rest.id);
        else if (spaces_.mark != SpaceMark::none)
          push_piece(run);
        else
          for_each_piece(run, pattern_, push_piece);
      }
    }
    return out;
  }

  // A token may begin or end within a character: its offsets then have the whole of it.
  void cut(std::span<const Character> piece, Index word, Encoding& out) const {
    std::string bytes;
    std::vector<std::size_t> character_of;
    for (std::size_t i = 0; i < piece.size(); ++i) {
      append_utf8(piece[i].value, bytes);
      character_of.resize(bytes.size(), i);
    }
    std::vector<BytePair::Token> tokens;
    model_.cut(bytes, tokens);
    for (const BytePair::Token& token : tokens)
      out.push_back(token.id, 0, word,
                    {piece[character_of[token.begin]].origin.begin,
                     piece[character_of[token.end - 1]].origin.end});
  }

  BytePair model_;
  SplitPattern pattern_;
  bool composes_;
  TokenTemplate templates_;
  Spaces spaces_;
  std::map<std::string, int> ids_;
  std::map<int, AddedToken> added_;
  AddedTokens raw_[2];         // without the special ones, and with them
  AddedTokens normalized_[2];  // the same, of those that are sought in normalized text
};

}  // namespace lora::text
