#pragma once

#include <filesystem>
#include <random>
#include <system_error>

#include "lora/core/error.hpp"
#include "lora/io/directory.hpp"
#include "lora/io/platform/posix_files.hpp"
#include "lora/io/platform/windows_files.hpp"

namespace lora::io {

/// A directory that appears with all its files at once: they are written into a directory of
/// another name beside it, which commit() renames. The destructor removes it if commit() was not
/// called; a process that is killed leaves it behind.
class NewDirectory {
 public:
  /// Makes the directory to write into. Throws FileError if `target` is there already and is not an
  /// empty directory, or if nothing can be made beside it.
  explicit NewDirectory(const std::filesystem::path& target) : target_(without_slash(target)) {
    std::error_code error;
    const bool is_there = std::filesystem::exists(target_, error);
    if (is_there && !(std::filesystem::is_directory(target_, error) &&
                      std::filesystem::is_empty(target_, error)))
      throw FileError(target_.string() + ": is there already and is not an empty directory");
    std::random_device random;
    const auto name = message(".", target_.filename().string(), "-", random(), ".tmp");
    const std::filesystem::path parent = target_.parent_path();
    if (!parent.empty()) make_directory(parent);
    path_ = parent / name;
    make_directory(path_);
  }

  NewDirectory(const NewDirectory&) = delete;
  NewDirectory& operator=(const NewDirectory&) = delete;

  ~NewDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

  /// Returns the directory to write into.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Gives the directory its name; call it once, when all is written. Throws FileError.
  void commit() {
    std::error_code error;
    platform::move_directory(path_, target_, error);
    if (error)
      throw FileError(message(target_.string(),
                              ": cannot put the new directory in its place: ", error.message()));
    path_.clear();
  }

 private:
  static std::filesystem::path without_slash(const std::filesystem::path& path) {
    return path.has_filename() ? path : path.parent_path();
  }

  std::filesystem::path target_;
  std::filesystem::path path_;
};

}  // namespace lora::io
