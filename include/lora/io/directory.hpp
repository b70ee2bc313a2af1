#pragma once

#include <filesystem>
#include <system_error>

#include "lora/core/error.hpp"

namespace lora::io {

/// Makes a directory, and those above it, unless it is there. Throws FileError.
inline void make_directory(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    throw FileError(message(directory.string(), ": cannot make the directory: ", error.message()));
}

}  // namespace lora::io
