#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace lora::test {

/// Returns the bytes of a safetensors file of this header, whatever it says, and `data`.
[[nodiscard]] inline std::string safetensors_bytes(const std::string& header,
                                                   const std::string& data = {}) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + data;
}

/// Views text as bytes.
[[nodiscard]] inline std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace lora::test
