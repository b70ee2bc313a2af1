#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/text/bert_tokenizer_config.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/lines.hpp"
#include "lora/text/make_bert_tokenizer.hpp"
#include "lora/text/tokenizer_limit.hpp"
#include "lora/text/whitespace.hpp"

namespace lora::text {

/// Makes a tokenizer from the text of a vocab.txt, one token a line, whose ids count from 0. White
/// space at the end of a line is no part of its token; of equal tokens the last counts. Throws
/// FileError, beginning with `where`, for a text that is not UTF-8, and see make_bert_tokenizer.
[[nodiscard]] inline BertTokenizer parse_vocab_txt(std::string_view text, const std::string& where,
                                                   const BertTokenizerConfig& config = {}) {
  require_tokenizer_size(text, where);
  std::vector<std::pair<std::string, int>> tokens;
  for (Lines lines(text); lines.next();) {
    if (!is_utf8(lines.line()))
      throw FileError(message(where, ":", lines.number(), ": is not UTF-8"));
    const std::string_view token = without_trailing_whitespace(lines.line());
    tokens.emplace_back(std::string(token), static_cast<int>(tokens.size()));
  }
  try {
    return make_bert_tokenizer(WordPiece(tokens, {.unk_token = config.unk_token}), config, where);
  } catch (const ConfigError& error) {
    throw FileError(where + ": " + error.what());
  }
}

/// Reads a vocab.txt; see parse_vocab_txt.
[[nodiscard]] inline BertTokenizer read_vocab_txt(const std::filesystem::path& path,
                                                  const BertTokenizerConfig& config = {}) {
  const io::MappedFile file(path);
  return parse_vocab_txt(text_of(file), path.string(), config);
}

}  // namespace lora::text
