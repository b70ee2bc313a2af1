#pragma once

#include <cstdint>
#include <string_view>

namespace lora {

/// Returns the substream of Random that belongs to a layer's name: its 64-bit FNV-1a hash. Layers
/// of one seed draw different masks by it, and the same ones in every run.
[[nodiscard]] constexpr std::uint64_t substream_of(std::string_view name) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

}  // namespace lora
