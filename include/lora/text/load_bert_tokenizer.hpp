#pragma once

#include <filesystem>
#include <string>
#include <utility>

#include "lora/core/error.hpp"
#include "lora/io/json.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/text/bert_tokenizer_config.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/tokenizer_class.hpp"
#include "lora/text/tokenizer_json.hpp"
#include "lora/text/vocab_txt.hpp"

namespace lora::text {

namespace detail {

// The JSON object of a file of settings; empty if it is not there.
[[nodiscard]] inline io::Json json_of(const std::filesystem::path& path) {
  if (!io::is_there(path)) return io::Json::object();
  const io::MappedFile file(path);
  require_tokenizer_size(text_of(file), path.string());
  io::Json json = io::parse_json(text_of(file), path.string(), io::python_json);
  static_cast<void>(JsonFields(json, path.string()));
  return json;
}

// added_tokens.json has only ids; which of its tokens are special, others say.
[[nodiscard]] inline std::vector<AddedToken> legacy_added_tokens(
    const std::filesystem::path& path, const std::vector<AddedToken>& special) {
  std::set<std::string> is_special;
  for (const AddedToken& token : special) is_special.insert(token.content);
  const io::Json json = json_of(path);
  const JsonFields fields(json, path.string());
  std::vector<AddedToken> tokens;
  for (const auto& [content, id] : json.items())
    tokens.push_back({.content = content,
                      .id = fields.number_from(id, "the id of \"" + printable(content) + "\""),
                      .normalized = !is_special.contains(content)});
  return tokens;
}

}  // namespace detail

/// Reads a tokenizer's settings from a model's folder. They stand in tokenizer_config.json. Where
/// that has no added_tokens_decoder, special_tokens_map.json overrides it and added_tokens.json
/// adds to it. Where no other file says the tokenizer's class, config.json does. Throws FileError.
[[nodiscard]] inline BertTokenizerConfig read_bert_tokenizer_config(
    const std::filesystem::path& folder) {
  const auto path = folder / "tokenizer_config.json";
  io::Json json = detail::json_of(path);
  std::string where = path.string();
  const bool legacy = !json.contains("added_tokens_decoder");
  if (const auto map = folder / "special_tokens_map.json"; legacy && io::is_there(map)) {
    where += " and special_tokens_map.json";
    json.update(detail::json_of(map));
  }
  const JsonFields root(json, where);
  BertTokenizerConfig config = detail::BertTokenizerConfigReader(root).read();
  if (legacy)
    config.added_tokens =
        detail::legacy_added_tokens(folder / "added_tokens.json", config.special_tokens);
  if (config.tokenizer_class.empty()) {
    const io::Json model = detail::json_of(folder / "config.json");
    const JsonFields fields(model, (folder / "config.json").string());
    if (fields.find("tokenizer_class") != nullptr)
      config.tokenizer_class = fields.string("tokenizer_class");
    else if (fields.find("model_type") != nullptr)
      config.tokenizer_class = default_tokenizer_class(fields.string("model_type"));
  }
  return config;
}

/// Loads the tokenizer of a model's folder in Hugging Face's layout, as transformers' AutoTokenizer
/// (5.24) does: from tokenizer.json or vocab.txt, and the settings of read_bert_tokenizer_config.
/// Where tokenizer.json disagrees with the settings, the settings count; some classes take
/// tokenizer.json as it stands (see tokenizer_source). A folder without any class does so too.
/// Throws FileError, also for a class that cuts text in another way.
[[nodiscard]] inline BertTokenizer load_bert_tokenizer(const std::filesystem::path& folder) {
  const BertTokenizerConfig config = read_bert_tokenizer_config(folder);
  TokenizerSource source;
  try {
    source = tokenizer_source(config.tokenizer_class);
  } catch (const ConfigError& error) {
    throw FileError(folder.string() + ": " + error.what());
  }
  if (const auto path = folder / "tokenizer.json"; io::is_there(path)) {
    const io::MappedFile file(path);
    const std::string_view text = text_of(file);
    return source == TokenizerSource::settings
               ? parse_tokenizer_json(text, path.string(), config)
               : parse_tokenizer_json(text, path.string(), config.special_tokens);
  }
  if (source == TokenizerSource::tokenizer_json)
    throw FileError(folder.string() + ": has no tokenizer.json, which the tokenizer_class " +
                    config.tokenizer_class + " needs");
  if (!io::is_there(folder / "vocab.txt"))
    throw FileError(folder.string() + ": has neither tokenizer.json nor vocab.txt");
  return read_vocab_txt(folder / "vocab.txt", config);
}

}  // namespace lora::text
