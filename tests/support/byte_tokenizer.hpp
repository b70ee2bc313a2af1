#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <lora/io/gguf/gguf_writer.hpp>
#include <lora/text/byte_alphabet.hpp>

namespace lora::test {

/// Gives a GGUF file the smallest tokenizer of byte-level BPE: bytes 0 to 255, "th", and then these
/// special tokens.
inline void set_byte_tokenizer(io::GgufWriter& writer,
                               const std::vector<std::string>& special = {}) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back(text::spelled_bytes(std::string(1, static_cast<char>(byte))));
  tokens.emplace_back("th");
  std::vector<std::int32_t> types(tokens.size(), 1);
  for (const std::string& token : special) {
    tokens.push_back(token);
    types.push_back(3);
  }
  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.pre", "gpt-2");
  writer.set("tokenizer.ggml.tokens", tokens);
  writer.set("tokenizer.ggml.token_type", types);
  writer.set("tokenizer.ggml.merges", std::vector<std::string>{"t h"});
}

}  // namespace lora::test
