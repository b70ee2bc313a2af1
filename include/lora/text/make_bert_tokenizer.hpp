#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/text/bert_tokenizer.hpp"
#include "lora/text/bert_tokenizer_config.hpp"
#include "lora/text/special_tokens.hpp"

namespace lora::text {

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
