#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "support/catch.hpp"

namespace lora::test {

/// Reports the running test as skipped, so that CTest lists it as such. Catch2 before 3.3 knows no
/// skipping and returns from here: the test has to return by itself, before it checks anything.
inline void skip_test(const std::string& why) {
#ifdef SKIP
  SKIP("test skipped: " << why);
#else
  WARN("test skipped: " << why);
#endif
}

/// Returns the folder that the environment variable `name` names: LORA_DATA_DIR for data sets,
/// LORA_MINILM_DIR for weights, which are too large to keep here. Skips the test, and returns
/// nothing, where there is no such folder.
[[nodiscard]] inline std::optional<std::filesystem::path> folder_or_skip(const std::string& name) {
  const char* folder = std::getenv(name.c_str());
  if (folder != nullptr && std::filesystem::is_directory(folder)) return folder;
  skip_test("the environment variable " + name + " names no folder");
  return std::nullopt;
}

}  // namespace lora::test
