#pragma once

#include <cstdint>
#include <filesystem>
#include <lora/io/mapped_file.hpp>
#include <span>

namespace photos {

/// The pixels that an image may have: a file of a few bytes can claim billions.
inline constexpr std::uint64_t pixel_limit = 100'000'000;

/// Returns the bytes of a mapped file.
[[nodiscard]] inline std::span<const std::uint8_t> bytes_of(const lora::io::MappedFile& file) {
  return {reinterpret_cast<const std::uint8_t*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace photos
