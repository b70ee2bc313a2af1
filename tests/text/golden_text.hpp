#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <lora/io/json.hpp>
#include <lora/text/encoding.hpp>
#include <lora/text/tokenizer_json.hpp>

#include "support/whole_file.hpp"

namespace lora::test {

inline const std::filesystem::path text_data = std::filesystem::path(LORA_GOLDEN_DIR) / "tokenizer";

inline io::Json read_json(const std::filesystem::path& path) {
  return io::parse_json(read_whole(path), path.string());
}

/// The golden file of tests/golden/make_golden_tokenizer.py; read once.
inline const io::Json& golden_text() {
  static const io::Json golden = read_json(text_data / "golden.json");
  return golden;
}

/// The checksum that the script describes: FNV-1a over "id,type,word,begin,end;".
inline std::uint32_t checksum(const text::Encoding& encoding) {
  std::uint32_t value = 2166136261U;
  for (std::size_t i = 0; i < encoding.size(); ++i)
    for (const char c : message(encoding.ids[i], ',', encoding.type_ids[i], ',', encoding.words[i],
                                ',', encoding.offsets[i].begin, ',', encoding.offsets[i].end, ';'))
      value = (value ^ static_cast<unsigned char>(c)) * 16777619U;
  return value;
}

/// The tokenizer of the golden files, with its normalizer's fields replaced by those of `changes`.
inline text::BertTokenizer golden_tokenizer(const io::Json& changes = {}) {
  auto json = read_json(text_data / "tokenizer.json");
  for (const auto& [key, value] : changes.items()) json["normalizer"][key] = value;
  return text::parse_tokenizer_json(json.dump(), "tokenizer.json");
}

}  // namespace lora::test
