#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/io/json.hpp"
#include "lora/text/bert_tokenizer.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/json_fields.hpp"
#include "lora/text/tokenizer_limit.hpp"

namespace lora::text {

namespace detail {

/// Reads the parts of a tokenizer.json one by one.
class TokenizerJsonReader {
 public:
  explicit TokenizerJsonReader(const JsonFields& root) : root_(root) {}

  [[nodiscard]] BertTokenizer read() const {
    require_type(root_.object("pre_tokenizer"), "BertPreTokenizer");
    const BertNormalizer normalizer = read_normalizer(root_.object("normalizer"));
    WordPiece model = read_model(root_.object("model"));
    std::vector<AddedToken> added = read_added_tokens(model);
    TokenTemplate templates = TokenTemplate::plain();
    if (root_.find("post_processor") != nullptr)
      templates = read_template(root_.object("post_processor"));
    const int pad_id = read_pad_id(model, added);
    return {std::move(model), normalizer, std::move(added), std::move(templates), pad_id};
  }

 private:
  static constexpr std::size_t template_limit = 1'000;

  static void require_type(const JsonFields& component, const char* type) {
    if (component.string("type") != type)
      component.fail("type is " + component.string("type") + ", of which only " + type +
                     " is known");
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
    const JsonFields vocab = json.object("vocab");
    std::vector<std::pair<std::string, int>> tokens;
    std::map<int, const std::string*> of_id;
    tokens.reserve(vocab.json().size());
    for (const auto& [token, value] : vocab.json().items()) {
      const int id = vocab.number_from(value, "the id of \"" + token + "\"");
      tokens.emplace_back(token, id);
      const auto [other, is_new] = of_id.emplace(id, nullptr);
      if (!is_new) vocab.fail(message("\"", token, "\" and another token have the id ", id));
    }
    return {tokens, config};
  }

  [[nodiscard]] std::vector<AddedToken> read_added_tokens(const WordPiece& model) const {
    std::vector<AddedToken> tokens;
    if (root_.find("added_tokens") == nullptr) return tokens;
    std::set<std::string> contents;
    std::set<int> ids;
    for (const auto& entry : root_.array("added_tokens")) {
      const JsonFields json(entry, root_.where() + ", added_tokens");
      AddedToken token{.content = json.string("content"),
                       .id = json.number("id"),
                       .single_word = json.boolean("single_word").value_or(false),
                       .lstrip = json.boolean("lstrip").value_or(false),
                       .rstrip = json.boolean("rstrip").value_or(false),
                       .normalized = json.boolean("normalized").value_or(false)};
      const std::string name = "\"" + token.content + "\"";
      if (token.content.empty()) json.fail("a token is empty");
      if (!contents.insert(token.content).second) json.fail(name + " stands twice");
      if (!ids.insert(token.id).second)
        json.fail(message(name, " and another token have the id ", token.id));
      const auto known = model.id_of(token.content);
      if (known && *known != token.id)
        json.fail(message(name, " has the id ", token.id, ", but the vocabulary says ", *known));
      if (!known && model.token_of(token.id) != nullptr)
        json.fail(message(name, " has the id ", token.id, ", which is \"",
                          *model.token_of(token.id), "\" in the vocabulary"));
      tokens.push_back(std::move(token));
    }
    return tokens;
  }

  [[nodiscard]] static TokenTemplate read_template(const JsonFields& json) {
    if (json.string("type") == "BertProcessing")
      return TokenTemplate::bert(named_id(json, "cls"), named_id(json, "sep"));
    if (json.string("type") != "TemplateProcessing")
      json.fail("type is " + json.string("type") +
                ", of which only TemplateProcessing and BertProcessing are known");
    TokenTemplate result{read_parts(json, "single"), read_parts(json, "pair")};
    require_texts(json, "single", result.single, 1, 0);
    require_texts(json, "pair", result.pair, 1, 1);
    return result;
  }

  // BertProcessing has ["[CLS]", 101].
  [[nodiscard]] static int named_id(const JsonFields& json, const char* key) {
    const auto& pair = json.array(key);
    if (pair.size() != 2) json.fail(message(key, " is not a token and its id"));
    return json.number_from(pair[1], message("the id of ", key));
  }

  [[nodiscard]] static std::vector<TemplatePart> read_parts(const JsonFields& json,
                                                            const char* key) {
    using Kind = TemplatePart::Kind;
    std::vector<TemplatePart> parts;
    for (const auto& entry : json.array(key)) {
      const JsonFields part(entry, json.where() + ", " + key);
      if (part.find("Sequence") != nullptr) {
        const JsonFields text = part.object("Sequence");
        const std::string& id = text.string("id");
        if (id != "A" && id != "B") text.fail("id is " + id + ", expected A or B");
        parts.push_back({id == "A" ? Kind::first_text : Kind::second_text, text.number("type_id")});
        continue;
      }
      const JsonFields token = part.object("SpecialToken");
      const JsonFields known = json.object("special_tokens");
      const JsonFields named = known.object(token.string("id").c_str());
      for (const auto& id : named.array("ids")) {
        // Parts times ids could be any number of them, for every text.
        if (parts.size() == template_limit)
          json.fail(message(key, " has more than ", template_limit, " tokens of its own"));
        parts.push_back({Kind::token, token.number("type_id"), named.number_from(id, "an id")});
      }
    }
    return parts;
  }

  static void require_texts(const JsonFields& json, const char* key,
                            const std::vector<TemplatePart>& parts, std::ptrdiff_t first,
                            std::ptrdiff_t second) {
    const auto count = [&](TemplatePart::Kind kind) {
      return std::count_if(parts.begin(), parts.end(),
                           [&](const TemplatePart& part) { return part.kind == kind; });
    };
    if (count(TemplatePart::Kind::first_text) != first ||
        count(TemplatePart::Kind::second_text) != second)
      json.fail(message(key, " does not have each of its texts once"));
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

}  // namespace detail

/// Makes a tokenizer from the text of a Hugging Face tokenizer.json of the BERT family:
/// BertNormalizer, BertPreTokenizer, WordPiece, and TemplateProcessing, BertProcessing or no
/// post_processor. Any other component is refused by name. Of `padding` only pad_id counts, and
/// `truncation` and `decoder` do not: as in transformers, the caller says how long texts are.
/// Throws FileError, beginning with `where`.
[[nodiscard]] inline BertTokenizer parse_tokenizer_json(std::string_view text,
                                                        const std::string& where) {
  require_tokenizer_size(text, where);
  const auto json = io::parse_json(text, where);
  const JsonFields root(json, where);
  try {
    return detail::TokenizerJsonReader(root).read();
  } catch (const ConfigError& error) {
    throw FileError(where + ": " + error.what());
  }
}

/// Reads a tokenizer.json; see parse_tokenizer_json.
[[nodiscard]] inline BertTokenizer read_tokenizer_json(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  return parse_tokenizer_json(text_of(file), path.string());
}

}  // namespace lora::text
