#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/text/character_class.hpp"
#include "lora/text/token_table.hpp"
#include "lora/text/utf8.hpp"

namespace lora::text {

/// A token that is recognised as it stands in the text, before words are cut: [CLS], [MASK] ... Its
/// fields are those of tokenizer.json.
struct AddedToken {
  std::string content = {};
  int id = 0;
  bool single_word = false;  ///< counts only where no word character touches it
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space after it
  bool normalized = false;   ///< sought in the normalized text, not in the text as it came
  bool special = false;      ///< the model's own, as [CLS]: decoding may leave it out
};

/// A set of added tokens, at which texts are split as Hugging Face's tokenizers do: at the leftmost
/// first, and of those that begin at one place at the longest.
class AddedTokens {
 public:
  /// A part of the text, [begin, end) in characters: an added token if it has an id.
  struct Part {
    std::size_t begin;
    std::size_t end;
    std::optional<int> id;
  };

  /// The longest content, in characters, which bounds the work at each place of a text.
  static constexpr std::size_t content_limit = 1'000;

  AddedTokens() = default;

  /// Makes the set of `tokens`; contents[i] is what is sought for tokens[i]: its content, which is
  /// normalized where normalized text is searched. Throws ConfigError for one that is empty or
  /// beyond the limit.
  AddedTokens(std::vector<AddedToken> tokens, const std::vector<std::u32string>& contents)
      : tokens_(std::move(tokens)) {
    std::vector<TokenId> entries;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (contents[i].empty() || contents[i].size() > content_limit)
        throw ConfigError(message("AddedTokens: the token ", tokens_[i].id, " is ",
                                  contents[i].size(), " characters long, expected 1 to ",
                                  content_limit));
      entries.push_back({contents[i], static_cast<int>(i)});
    }
    table_ = TokenTable(std::move(entries));
  }

  /// Tells whether there is no token.
  [[nodiscard]] bool empty() const { return table_.empty(); }

  /// Appends the parts of `text` in its order; parts that hold nothing are left out.
  void split(std::span<const Character> text, std::vector<Part>& parts) const {
    std::size_t done = 0;
    for (std::size_t at = 0; at < text.size() && !table_.empty();) {
      const auto match = table_.longest_prefix(text.subspan(at));
      if (!match) {
        ++at;
        continue;
      }
      const AddedToken& token = tokens_[static_cast<std::size_t>(match->id)];
      std::size_t begin = at, end = at + match->length;
      at = end;  // whether it counts or not, the search goes on behind it
      if (token.single_word && ((begin > 0 && is_word(text[begin - 1].value)) ||
                                (end < text.size() && is_word(text[end].value))))
        continue;
      if (token.lstrip)
        while (begin > done && is_whitespace(text[begin - 1].value)) --begin;
      if (token.rstrip)
        while (end < text.size() && is_whitespace(text[end].value)) ++end;
      if (begin > done) parts.push_back({done, begin, std::nullopt});
      parts.push_back({begin, end, token.id});
      done = end;
    }
    if (done < text.size()) parts.push_back({done, text.size(), std::nullopt});
  }

 private:
  std::vector<AddedToken> tokens_;
  TokenTable table_;
};

}  // namespace lora::text
