#pragma once

#include <filesystem>

#include "lora/core/error.hpp"
#include "lora/text/bert_tokenizer.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/tokenizer_json.hpp"
#include "lora/text/vocab_txt.hpp"

namespace lora::text {

/// Loads the tokenizer of a model's folder in Hugging Face's layout: tokenizer.json if it is there,
/// else vocab.txt with the settings of tokenizer_config.json, or the defaults where that is
/// missing. Throws FileError.
[[nodiscard]] inline BertTokenizer load_bert_tokenizer(const std::filesystem::path& folder) {
  if (io::is_there(folder / "tokenizer.json"))
    return read_tokenizer_json(folder / "tokenizer.json");
  if (!io::is_there(folder / "vocab.txt"))
    throw FileError(folder.string() + ": has neither tokenizer.json nor vocab.txt");
  VocabTxtConfig config;
  if (const auto path = folder / "tokenizer_config.json"; io::is_there(path)) {
    const io::MappedFile file(path);
    config = parse_tokenizer_config(text_of(file), path.string());
  }
  return read_vocab_txt(folder / "vocab.txt", config);
}

}  // namespace lora::text
