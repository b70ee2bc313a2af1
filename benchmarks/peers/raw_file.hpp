#pragma once

#include <cstddef>
#include <fstream>
#include <stdexcept>
#include <string>

namespace lora::bench {

/// Reads exactly `count` floats, as they lie in memory, from `file`. Throws std::runtime_error.
inline void read_floats(const std::string& file, float* data, std::size_t count) {
  std::ifstream in(file, std::ios::binary);
  const auto bytes = static_cast<std::streamsize>(count * sizeof(float));
  if (!in.read(reinterpret_cast<char*>(data), bytes) ||
      in.peek() != std::ifstream::traits_type::eof())
    throw std::runtime_error(file + ": expected a file of " + std::to_string(bytes) + " bytes");
}

/// Writes `count` floats as they lie in memory. Throws std::runtime_error.
inline void write_floats(const std::string& file, const float* data, std::size_t count) {
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(data),
            static_cast<std::streamsize>(count * sizeof(float)));
  if (!out.flush()) throw std::runtime_error(file + ": cannot be written");
}

}  // namespace lora::bench
