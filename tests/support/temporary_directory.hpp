#pragma once

#include <filesystem>
#include <random>
#include <string>

#include <lora/core/error.hpp>

namespace lora::test {

/// Makes an empty directory for its scope and removes it with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory()
      : path_(std::filesystem::temp_directory_path() /
              message("lora-test-", std::random_device{}(), "-", std::random_device{}())) {
    std::filesystem::create_directory(path_);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
    return path_ / name;
  }

  /// Returns the number of files in it.
  [[nodiscard]] std::ptrdiff_t count() const {
    const std::filesystem::directory_iterator files(path_);
    return std::distance(begin(files), end(files));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace lora::test
