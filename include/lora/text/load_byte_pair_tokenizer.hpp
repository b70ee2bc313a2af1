#pragma once

#include <filesystem>

#include "lora/io/gguf/gguf_reader.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/text/byte_pair_gguf.hpp"
#include "lora/text/byte_pair_json.hpp"

namespace lora::text {

/// Loads the tokenizer of a language model: tokenizer.json of a folder in Hugging Face's layout, or
/// the one that a GGUF file brings along. Throws FileError for what is missing or not built.
[[nodiscard]] inline BytePairTokenizer load_byte_pair_tokenizer(const std::filesystem::path& path) {
  if (io::is_gguf(path)) return byte_pair_of_gguf(io::GgufReader(path).metadata());
  const auto file = path / "tokenizer.json";
  if (!io::is_there(file))
    throw FileError(path.string() + ": has no tokenizer.json, which a language model needs");
  return read_byte_pair_json(file);
}

}  // namespace lora::text
