#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace lora::test {

/// Returns a number as it stands in a file.
template <class N>
[[nodiscard]] std::string raw(N number) {
  std::string bytes(sizeof(N), '\0');
  std::memcpy(bytes.data(), &number, sizeof(N));
  return bytes;
}

/// Returns a text as it stands in a GGUF file: its length, and then its bytes.
[[nodiscard]] inline std::string raw_text(const std::string& text) {
  return raw(std::uint64_t{text.size()}) + text;
}

/// Parts of a GGUF file to be spoilt one at a time: by default one key, and one tensor of four
/// floats.
struct GgufParts {
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::uint64_t tensor_count = 1;
  std::uint64_t key_count = 1;
  std::string keys = raw_text("general.architecture") + raw(8U) + raw_text("llama");
  std::string infos =
      raw_text("a") + raw(1U) + raw(std::int64_t{4}) + raw(0U) + raw(std::uint64_t{0});
  std::string data = std::string(16, '\1');
  std::size_t alignment = 32;

  [[nodiscard]] std::string bytes() const {
    std::string file = magic + raw(version) + raw(tensor_count) + raw(key_count) + keys + infos;
    file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data;
  }
};

}  // namespace lora::test
