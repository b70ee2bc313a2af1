#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/text/bert_tokenizer.hpp"
#include "lora/text/bert_tokenizer_config.hpp"

namespace lora::text {

/// Adds to `added` the special tokens that it lacks. As in transformers, each has the vocabulary's
/// id, or else the next free one. Throws FileError, beginning with `where`, for an added token that
/// stands twice, or whose id another one has.
inline void add_special_tokens(const WordPiece& model, const std::vector<AddedToken>& special,
                               const std::string& where, std::vector<AddedToken>& added) {
  std::map<std::string, int> ids;
  std::map<int, const std::string*> tokens;
  int next = model.largest_id() + 1;
  for (const AddedToken& token : added) {
    const auto fail = [&](const auto&... what) {
      throw FileError(message(where, ": the added token \"", printable(token.content),
                              "\" has the id ", token.id, what...));
    };
    const auto known = model.id_of(token.content);
    const std::string* other = known ? nullptr : model.token_of(token.id);
    if (known && *known != token.id) fail(", but the vocabulary says ", *known);
    if (other != nullptr) fail(", which is \"", printable(*other), "\" in the vocabulary");
    if (!ids.emplace(token.content, token.id).second) fail(" and stands twice");
    if (!tokens.emplace(token.id, &token.content).second) fail(", which another one has too");
    next = std::max(next, token.id + 1);
  }
  for (const AddedToken& token : special) {
    if (ids.contains(token.content)) continue;
    added.push_back(token);
    const auto known = model.id_of(token.content);
    added.back().id = known ? *known : next++;
    ids.emplace(token.content, added.back().id);
  }
}

/// Makes a tokenizer of a vocabulary and settings, as transformers' BertTokenizer does. Throws
/// FileError, beginning with `where`, if the vocabulary or the added tokens lack the sep, pad or
/// cls token; the mask token may be missing. See add_special_tokens.
[[nodiscard]] inline BertTokenizer make_bert_tokenizer(WordPiece model,
                                                       const BertTokenizerConfig& config,
                                                       const std::string& where) {
  std::vector<AddedToken> special = config.special_tokens;
  std::map<std::string, int> added_ids;
  for (const AddedToken& token : config.added_tokens) added_ids.emplace(token.content, token.id);
  const auto add = [&](const std::string& token) -> std::optional<int> {
    auto id = model.id_of(token);
    if (const auto found = added_ids.find(token); !id && found != added_ids.end())
      id = found->second;
    if (id) special.push_back({.content = token});
    return id;
  };
  const auto require = [&](const std::string& token) {
    const auto id = add(token);
    if (!id) throw FileError(where + ": the vocabulary lacks the token " + printable(token));
    return *id;
  };
  require(config.unk_token);
  const int sep = require(config.sep_token);
  const int pad = require(config.pad_token);
  const int cls = require(config.cls_token);
  add(config.mask_token);
  std::vector<AddedToken> added = config.added_tokens;
  add_special_tokens(model, special, where, added);
  const BertNormalizer normalizer{.handle_chinese_chars = config.tokenize_chinese_chars,
                                  .strip_accents = config.strip_accents,
                                  .lowercase = config.do_lower_case};
  return {std::move(model), normalizer, std::move(added), TokenTemplate::bert(cls, sep), pad};
}

}  // namespace lora::text
