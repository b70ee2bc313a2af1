#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/text/bert_tokenizer.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/json_fields.hpp"
#include "lora/text/lines.hpp"
#include "lora/text/tokenizer_limit.hpp"

namespace lora::text {

/// What a vocab.txt does not say, by the names and with the defaults of tokenizer_config.json.
struct VocabTxtConfig {
  bool do_lower_case = true;
  bool tokenize_chinese_chars = true;
  std::optional<bool> strip_accents = std::nullopt;  ///< if absent, as do_lower_case is
  std::string unk_token = "[UNK]";
  std::string sep_token = "[SEP]";
  std::string pad_token = "[PAD]";
  std::string cls_token = "[CLS]";
  std::string mask_token = "[MASK]";
  std::vector<AddedToken> added_tokens = {};  ///< added_tokens_decoder: with flags of their own
};

/// Reads the JSON text of a tokenizer_config.json as far as BERT's tokenizer goes by it; all other
/// keys are ignored. Throws FileError, beginning with `where`, for a value of the wrong kind, and
/// for do_basic_tokenize = false and never_split, which tokenizers cannot do.
[[nodiscard]] inline VocabTxtConfig parse_tokenizer_config(std::string_view text,
                                                           const std::string& where) {
  require_tokenizer_size(text, where);
  const auto json = io::parse_json(text, where);
  const JsonFields root(json, where);
  VocabTxtConfig config;
  config.do_lower_case = root.boolean("do_lower_case").value_or(true);
  config.tokenize_chinese_chars = root.boolean("tokenize_chinese_chars").value_or(true);
  config.strip_accents = root.boolean("strip_accents");
  if (!root.boolean("do_basic_tokenize").value_or(true))
    root.fail("do_basic_tokenize is false, which is not known");
  if (const auto* kept = root.find("never_split"); kept != nullptr && !kept->empty())
    root.fail("never_split is not known");
  const auto read_token = [&](const char* key, std::string& token) {
    const auto* value = root.find(key);
    if (value == nullptr) return;
    // Written as a string, or as the AddedToken that it is.
    token = value->is_object() ? root.object(key).string("content") : root.string(key);
  };
  read_token("unk_token", config.unk_token);
  read_token("sep_token", config.sep_token);
  read_token("pad_token", config.pad_token);
  read_token("cls_token", config.cls_token);
  read_token("mask_token", config.mask_token);
  if (root.find("added_tokens_decoder") != nullptr) {
    const JsonFields added = root.object("added_tokens_decoder");
    for (const auto& [id, entry] : added.json().items()) {
      const JsonFields token(entry, added.where() + ", " + id);
      // Nine digits fit an int.
      if (id.empty() || id.size() > 9 || id.find_first_not_of("0123456789") != std::string::npos)
        token.fail("the key is not an id");
      config.added_tokens.push_back({.content = token.string("content"),
                                     .id = std::stoi(id),
                                     .single_word = token.boolean("single_word").value_or(false),
                                     .lstrip = token.boolean("lstrip").value_or(false),
                                     .rstrip = token.boolean("rstrip").value_or(false),
                                     .normalized = token.boolean("normalized").value_or(false)});
    }
  }
  return config;
}

/// Makes a tokenizer from the text of a vocab.txt, one token a line, whose ids count from 0. The
/// unk, sep, pad and cls tokens must be among them; a mask token is optional. Throws FileError,
/// beginning with `where`, if one is missing, if the text is not UTF-8, or if an added token has
/// another id than the vocabulary says.
[[nodiscard]] inline BertTokenizer parse_vocab_txt(std::string_view text, const std::string& where,
                                                   const VocabTxtConfig& config = {}) {
  require_tokenizer_size(text, where);
  std::vector<std::pair<std::string, int>> tokens;
  for (Lines lines(text); lines.next();) {
    if (!is_utf8(lines.line()))
      throw FileError(message(where, ":", lines.number(), ": is not UTF-8"));
    tokens.emplace_back(std::string(lines.line()), static_cast<int>(tokens.size()));
  }
  try {
    WordPiece model(tokens, {.unk_token = config.unk_token});
    std::vector<AddedToken> added = config.added_tokens;
    for (const AddedToken& token : added)
      if (model.id_of(token.content).value_or(token.id) != token.id ||
          (!model.id_of(token.content) && token.id < static_cast<int>(tokens.size())))
        throw FileError(message(where, ": the added token \"", token.content, "\" has the id ",
                                token.id, ", which is not the vocabulary's"));
    const auto special_id = [&](const std::string& token, bool required) {
      const auto id = model.id_of(token);
      if (!id && required) throw FileError(where + ": the vocabulary lacks the token " + token);
      bool listed = false;
      for (const AddedToken& other : added) listed = listed || other.content == token;
      if (id && !listed) added.push_back({.content = token, .id = *id});
      return id.value_or(0);
    };
    special_id(config.unk_token, true);
    const int sep = special_id(config.sep_token, true);
    const int pad = special_id(config.pad_token, true);
    const int cls = special_id(config.cls_token, true);
    special_id(config.mask_token, false);
    const BertNormalizer normalizer{.handle_chinese_chars = config.tokenize_chinese_chars,
                                    .strip_accents = config.strip_accents,
                                    .lowercase = config.do_lower_case};
    return {std::move(model), normalizer, std::move(added), TokenTemplate::bert(cls, sep), pad};
  } catch (const ConfigError& error) {
    throw FileError(where + ": " + error.what());
  }
}

/// Reads a vocab.txt; see parse_vocab_txt.
[[nodiscard]] inline BertTokenizer read_vocab_txt(const std::filesystem::path& path,
                                                  const VocabTxtConfig& config = {}) {
  const io::MappedFile file(path);
  return parse_vocab_txt(text_of(file), path.string(), config);
}

}  // namespace lora::text
