#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/io/json.hpp"
#include "lora/text/bert_tokenizer.hpp"
#include "lora/text/bert_tokenizer_config.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/json_fields.hpp"
#include "lora/text/make_bert_tokenizer.hpp"
#include "lora/text/template_json.hpp"
#include "lora/text/tokenizer_limit.hpp"
#include "lora/text/vocabulary_json.hpp"

namespace lora::text {

namespace detail {

/// A reader of the parts of a tokenizer.json.
class TokenizerJsonReader {
 public:
  explicit TokenizerJsonReader(const JsonFields& root) : root_(root) {}

  /// Makes a tokenizer of the file as it stands, and of the special tokens that it lacks.
  [[nodiscard]] BertTokenizer read(const std::vector<AddedToken>& special) const {
    require_type(root_.object("pre_tokenizer"), "BertPreTokenizer");
    const BertNormalizer normalizer = read_normalizer(root_.object("normalizer"));
    WordPiece model = read_model(root_.object("model"));
    std::vector<AddedToken> added = read_added_tokens(root_);
    add_special_tokens(model, special, root_.where(), added);
    TokenTemplate templates = TokenTemplate::plain();
    if (root_.find("post_processor") != nullptr)
      templates = read_template(root_.object("post_processor"));
    const int pad_id = read_pad_id(model, added);
    return {std::move(model), normalizer, std::move(added), std::move(templates), pad_id};
  }

  /// Makes the tokenizer that BertTokenizer makes of the file's vocabulary and of `config`.
  [[nodiscard]] BertTokenizer read_as_bert(BertTokenizerConfig config) const {
    const BertTokenizer file = read({});
    std::set<std::string> known;
    for (const AddedToken& token : config.added_tokens) known.insert(token.content);
    for (const AddedToken& token : file.added_tokens())
      if (!known.contains(token.content)) config.added_tokens.push_back(token);
    const WordPieceConfig& model = file.model().config();
    if (!file.normalizer().clean_text) refuse("normalizer, clean_text", "false", "true");
    if (model.unk_token != config.unk_token)
      refuse("model, unk_token", model.unk_token, config.unk_token);
    if (model.continuing_subword_prefix != "##")
      refuse("model, continuing_subword_prefix", model.continuing_subword_prefix, "##");
    if (model.max_input_chars_per_word != 100)
      refuse("model, max_input_chars_per_word", message(model.max_input_chars_per_word), "100");
    BertTokenizer tokenizer = make_bert_tokenizer(file.model(), config, root_.where());
    if (tokenizer.templates() != file.templates())
      root_.fail("post_processor is not [CLS] A [SEP] and [CLS] A [SEP] B [SEP], " + remedy);
    return tokenizer;
  }

 private:
  static inline const std::string remedy =
      "which versions of transformers take differently for BertTokenizer; "
      "\"tokenizer_class\": \"PreTrainedTokenizerFast\" in tokenizer_config.json means the file as "
      "it stands";

  [[noreturn]] void refuse(const std::string& field, const std::string& value,
                           const std::string& expected) const {
    root_.fail(field + " is " + printable(value) + ", but " + printable(expected) +
               " by the tokenizer's settings, " + remedy);
  }

  [[nodiscard]] static BertNormalizer read_normalizer(const JsonFields& json) {
    require_type(json, "BertNormalizer");
    return {.clean_text = json.boolean("clean_text").value_or(true),
            .handle_chinese_chars = json.boolean("handle_chinese_chars").value_or(true),
            .strip_accents = json.boolean("strip_accents"),
            .lowercase = json.boolean("lowercase").value_or(true)};
  }

  [[nodiscard]] static WordPiece read_model(const JsonFields& json) {
    // Files of the first versions have no type; what only other models have is then a field.
    if (json.find("type") != nullptr) require_type(json, "WordPiece");
    const WordPieceConfig config{
        .unk_token = json.string("unk_token"),
        .continuing_subword_prefix = json.string("continuing_subword_prefix"),
        .max_input_chars_per_word =
            static_cast<std::size_t>(json.number("max_input_chars_per_word"))};
    return {read_vocabulary(json.object("vocab")), config};
  }

  [[nodiscard]] int read_pad_id(const WordPiece& model,
                                const std::vector<AddedToken>& added) const {
    if (root_.find("padding") != nullptr) return root_.object("padding").number("pad_id");
    for (const AddedToken& token : added)
      if (token.content == "[PAD]") return token.id;
    return model.id_of("[PAD]").value_or(0);
  }

  const JsonFields& root_;
};

template <class Read>
[[nodiscard]] BertTokenizer read_tokenizer_json(std::string_view text, const std::string& where,
                                                const Read& read) {
  require_tokenizer_size(text, where);
  const auto json = io::parse_json(text, where);
  const JsonFields root(json, where);
  try {
    return read(TokenizerJsonReader(root));
  } catch (const ConfigError& error) {
    throw FileError(where + ": " + error.what());
  }
}

}  // namespace detail

/// Makes a tokenizer from the text of a Hugging Face tokenizer.json of the BERT family:
/// BertNormalizer, BertPreTokenizer, WordPiece, and TemplateProcessing, BertProcessing or no
/// post_processor. Any other component is refused by name. Of `padding` only pad_id counts, and
/// `truncation` and `decoder` do not: as in transformers, the caller says how long texts are.
/// `special` are tokens that another file adds. Throws FileError, beginning with `where`.
[[nodiscard]] inline BertTokenizer parse_tokenizer_json(
    std::string_view text, const std::string& where, const std::vector<AddedToken>& special = {}) {
  return detail::read_tokenizer_json(text, where,
                                     [&](const auto& file) { return file.read(special); });
}

/// Makes a tokenizer as transformers' BertTokenizer does where tokenizer.json stands beside other
/// files: of its vocabulary and its added tokens, with the settings of `config`, even where
/// tokenizer.json says otherwise. Throws FileError besides where transformers 4 and 5 go by
/// different files.
[[nodiscard]] inline BertTokenizer parse_tokenizer_json(std::string_view text,
                                                        const std::string& where,
                                                        const BertTokenizerConfig& config) {
  return detail::read_tokenizer_json(text, where,
                                     [&](const auto& file) { return file.read_as_bert(config); });
}

/// Reads a tokenizer.json as it stands; see parse_tokenizer_json.
[[nodiscard]] inline BertTokenizer read_tokenizer_json(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  return parse_tokenizer_json(text_of(file), path.string());
}

}  // namespace lora::text
