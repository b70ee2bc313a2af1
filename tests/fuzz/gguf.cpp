// Reads any bytes as a GGUF file: decodes every tensor, and makes a tokenizer of its keys.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include <lora/io/gguf/gguf_reader.hpp>
#include <lora/text/byte_pair_gguf.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lora;
  try {
    const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
    const io::GgufContents contents = io::parse_gguf(bytes, "fuzz");
    std::size_t covered = 0;
    for (const auto& [name, tensor] : contents.tensors) {
      covered += tensor.bytes.size();
      std::vector<float> numbers(static_cast<std::size_t>(tensor.size()));
      io::decode_gguf(tensor.type, tensor.bytes.data(), tensor.size(), numbers.data());
    }
    if (covered > size) std::abort();
    const text::BytePairTokenizer tokenizer = text::byte_pair_of_gguf(contents.metadata);
    for (const int id : tokenizer.encode("A text, l\u00E4nger.").ids)
      if (id < 0) std::abort();
  } catch (const FileError&) {
    // What a file deserves that is not one.
  }
  return 0;
}
