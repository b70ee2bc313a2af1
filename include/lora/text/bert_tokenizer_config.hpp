#pragma once

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/io/json.hpp"
#include "lora/text/added_token_json.hpp"
#include "lora/text/json_fields.hpp"
#include "lora/text/tokenizer_limit.hpp"

namespace lora::text {

/// The settings that a vocabulary does not hold, by the names and with the defaults of
/// tokenizer_config.json.
struct BertTokenizerConfig {
  bool do_lower_case = true;
  bool tokenize_chinese_chars = true;
  std::optional<bool> strip_accents = std::nullopt;  ///< if absent, as do_lower_case is
  std::string unk_token = "[UNK]";
  std::string sep_token = "[SEP]";
  std::string pad_token = "[PAD]";
  std::string cls_token = "[CLS]";
  std::string mask_token = "[MASK]";
  std::vector<AddedToken> added_tokens = {};  ///< added_tokens_decoder: with ids of their own
  /// Further tokens that are sought as they stand, and the flags of those above. Their ids are not
  /// read: they are the vocabulary's, or the next ones behind it.
  std::vector<AddedToken> special_tokens = {};
  std::string tokenizer_class = {};  ///< empty where no file says it
};

namespace detail {

/// A reader of the JSON of a tokenizer_config.json.
class BertTokenizerConfigReader {
 public:
  explicit BertTokenizerConfigReader(const JsonFields& root) : root_(root) {}

  [[nodiscard]] BertTokenizerConfig read() {
    config_.do_lower_case = root_.boolean_or("do_lower_case", true);
    config_.tokenize_chinese_chars = root_.boolean_or("tokenize_chinese_chars", true);
    config_.strip_accents = root_.boolean("strip_accents");
    if (!root_.boolean("do_basic_tokenize").value_or(true))
      root_.fail("do_basic_tokenize is false, which is not known");
    if (const auto* kept = root_.find("never_split"); kept != nullptr && !kept->empty())
      root_.fail("never_split is not known");
    if (root_.boolean("split_special_tokens").value_or(false))
      root_.fail("split_special_tokens is true, which is not known");
    require_right("truncation_side");
    require_right("padding_side");
    if (root_.find("tokenizer_class") != nullptr)
      config_.tokenizer_class = root_.string("tokenizer_class");
    if (root_.find("added_tokens_decoder") != nullptr) read_decoder();
    read_special_tokens();
    return std::move(config_);
  }

 private:
  void require_right(const char* side) const {
    if (root_.find(side) != nullptr && root_.string(side) != "right")
      root_.fail(
          message(side, " is ", printable(root_.string(side)), ", of which only right is known"));
  }

  void read_decoder() {
    const JsonFields added = root_.object("added_tokens_decoder");
    for (const auto& [id, entry] : added.json().items()) {
      const JsonFields json(entry, added.where() + ", " + printable(id));
      // Nine digits fit an int.
      if (id.empty() || id.size() > 9 || id.find_first_not_of("0123456789") != std::string::npos)
        json.fail("the key is not an id");
      AddedToken token = read_added_token(json, !json.boolean("special").value_or(false));
      token.id = std::stoi(id);
      config_.added_tokens.push_back(std::move(token));
    }
  }

  // In transformers' order, which counts for those that the vocabulary lacks.
  void read_special_tokens() {
    std::string unused;
    const std::initializer_list<std::pair<const char*, std::string&>> named{
        {"bos_token", unused},
        {"eos_token", unused},
        {"unk_token", config_.unk_token},
        {"sep_token", config_.sep_token},
        {"pad_token", config_.pad_token},
        {"cls_token", config_.cls_token},
        {"mask_token", config_.mask_token}};
    for (const auto& [key, content] : named)
      if (const auto* value = root_.find(key)) content = read_special_token(*value, key);
    for (const auto& [key, value] : root_.json().items()) {
      const auto is_this = [&key = key](const auto& entry) { return key == entry.first; };
      if (key.ends_with("_token") && (value.is_string() || value.is_object()) &&
          std::none_of(named.begin(), named.end(), is_this))
        read_special_token(value, key);
    }
    const char* extra = "extra_special_tokens";
    if (root_.find(extra) == nullptr || root_.find(extra)->empty())
      extra = "additional_special_tokens";
    if (const auto* tokens = root_.find(extra)) {
      if (!tokens->is_structured()) root_.fail(std::string(extra) + " is not a list");
      for (const auto& token : *tokens) read_special_token(token, extra);
    }
  }

  // Written as a string, or as the AddedToken that it is.
  std::string read_special_token(const io::Json& value, const std::string& key) {
    AddedToken token;
    if (value.is_object())
      token = read_added_token({value, root_.where() + ", " + printable(key)}, false);
    else if (value.is_string())
      token.content = value.get<std::string>();
    else
      root_.fail(printable(key) + " is not a string");
    if (token.content.empty()) root_.fail(printable(key) + " is empty");
    config_.special_tokens.push_back(token);
    return token.content;
  }

  const JsonFields& root_;
  BertTokenizerConfig config_;
};

}  // namespace detail

/// Reads the JSON text of a tokenizer_config.json as far as BERT's tokenizer goes by it; all other
/// keys are ignored. Throws FileError, beginning with `where`, for a value of the wrong kind, and
/// for what changes ids but is not known: do_basic_tokenize = false, never_split,
/// split_special_tokens, truncation and padding on the left.
[[nodiscard]] inline BertTokenizerConfig parse_tokenizer_config(std::string_view text,
                                                                const std::string& where) {
  require_tokenizer_size(text, where);
  const auto json = io::parse_json(text, where, io::python_json);
  return detail::BertTokenizerConfigReader(JsonFields(json, where)).read();
}

}  // namespace lora::text
