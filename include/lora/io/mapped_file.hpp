#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "lora/core/error.hpp"
#include "lora/io/git_lfs.hpp"
#include "lora/io/platform/posix_files.hpp"
#include "lora/io/platform/windows_files.hpp"

namespace lora::io {

/// Tells whether something has that path. What cannot even be looked at counts, so that opening it
/// says why: std::filesystem::exists would throw an error of another kind.
[[nodiscard]] inline bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) || error;
}

/// A whole file, mapped into memory for reading. Others may replace or delete it meanwhile, as
/// AtomicFile does: the old bytes stay until the object ends. They should not write into it, since
/// what is read then is old in parts and new in parts, and must not cut it short: the system kills
/// (SIGBUS) whoever reads the lost part. (Windows refuses that to the others, and it refuses to put
/// another file in the place of one that is mapped.)
class MappedFile {
 public:
  /// Throws FileError if the file cannot be opened, is not a regular file, is empty, or is a Git
  /// LFS pointer in the place of the file.
  explicit MappedFile(const std::filesystem::path& path)
      : path_(path), bytes_(platform::map_file(path)) {
    try {
      refuse_git_lfs_pointer(bytes_, path.string());
    } catch (...) {
      platform::unmap_file(bytes_);
      throw;
    }
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  MappedFile(MappedFile&& other) noexcept { swap(other); }
  MappedFile& operator=(MappedFile&& other) noexcept {
    MappedFile moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~MappedFile() {
    if (!bytes_.empty()) platform::unmap_file(bytes_);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Views the file's bytes; they stay where they are when the object is moved.
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

  /// Gives the memory that holds parts of the file back to the system, as after converting them:
  /// what is looked at later is read again.
  void release_pages() const noexcept {
    if (!bytes_.empty()) platform::release_pages(bytes_);
  }

 private:
  void swap(MappedFile& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(bytes_, other.bytes_);
  }

  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

}  // namespace lora::io
