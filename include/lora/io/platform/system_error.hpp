#pragma once

#include <filesystem>
#include <system_error>

#include "lora/core/error.hpp"

namespace lora::io {

/// Throws FileError "path: what: <the text of the system's error>".
[[noreturn]] inline void throw_system_error(const std::filesystem::path& path, const char* what,
                                            const std::error_code& error) {
  throw FileError(message(path.string(), ": ", what, ": ", error.message()));
}

/// Throws FileError as above. For `error` = errno.
[[noreturn]] inline void throw_system_error(const std::filesystem::path& path, const char* what,
                                            int error) {
  throw_system_error(path, what, std::error_code(error, std::generic_category()));
}

}  // namespace lora::io
