#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace lora::test {

/// Returns the bytes of a file, or nothing if it cannot be read.
[[nodiscard]] inline std::string read_whole(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Writes the bytes of a file, plainly.
inline void write_whole(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace lora::test
