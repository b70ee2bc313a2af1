#pragma once

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/io/git_lfs.hpp"

#if __has_include(<sys/mman.h>)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#include <fstream>
#endif

namespace lora::io {

/// Throws FileError "path: what: <the text of the system's error>". For `error` = errno.
[[noreturn]] inline void throw_system_error(const std::filesystem::path& path, const char* what,
                                            int error) {
  throw FileError(message(path.string(), ": ", what, ": ", std::generic_category().message(error)));
}

/// Tells whether something has that path. What cannot even be looked at counts, so that opening it
/// says why: std::filesystem::exists would throw an error of another kind.
[[nodiscard]] inline bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) || error;
}

/// A whole file, mapped into memory for reading; without mmap it is read into a buffer. The file
/// must not be cut short by others while it is mapped: the system kills whoever reads the lost
/// part.
class MappedFile {
 public:
  /// Throws FileError if the file cannot be opened, is not a regular file, is empty, or is a Git
  /// LFS pointer in the place of the file.
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  MappedFile(MappedFile&& other) noexcept { swap(other); }
  MappedFile& operator=(MappedFile&& other) noexcept {
    MappedFile moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~MappedFile();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Views the file's bytes; they stay where they are when the object is moved.
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

  /// Gives the memory that holds parts of the file back to the system, as after converting them:
  /// what is looked at later is read again. Does nothing where the file is not mapped.
  void release_pages() const noexcept;

 private:
  void swap(MappedFile& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(buffer_, other.buffer_);
    std::swap(bytes_, other.bytes_);
  }

  std::filesystem::path path_;
  std::vector<std::byte> buffer_;  // unused where the file is mapped
  std::span<const std::byte> bytes_;
};

#if __has_include(<sys/mman.h>)

inline MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  // Without O_NONBLOCK a named pipe would make open wait for a writer.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) throw_system_error(path, "cannot open", errno);
  struct ::stat status {};
  void* memory = MAP_FAILED;
  const bool known = ::fstat(file, &status) == 0;
  const bool fits = known && S_ISREG(status.st_mode) && status.st_size > 0;
  const auto size = fits ? static_cast<std::size_t>(status.st_size) : 0;
  if (fits) memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  const int error = errno;
  ::close(file);
  if (!known) throw_system_error(path, "cannot read its size", error);
  if (!S_ISREG(status.st_mode)) throw FileError(path.string() + ": is not a regular file");
  if (!fits) throw FileError(path.string() + ": is empty");
  if (memory == MAP_FAILED) throw_system_error(path, "cannot map", error);
  bytes_ = {static_cast<const std::byte*>(memory), size};
  try {
    refuse_git_lfs_pointer(bytes_, path.string());
  } catch (...) {
    ::munmap(memory, size);
    throw;
  }
}

inline MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

inline void MappedFile::release_pages() const noexcept {
  // The mapping is of a file and never written, so nothing is lost.
  if (!bytes_.empty())
    ::madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
}

#else

inline MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  if (!std::filesystem::is_regular_file(path))
    throw FileError(path.string() + ": does not exist or is not a regular file");
  std::ifstream file(path, std::ios::binary);
  if (!file) throw FileError(path.string() + ": cannot open");
  buffer_.resize(static_cast<std::size_t>(std::filesystem::file_size(path)));
  if (buffer_.empty()) throw FileError(path.string() + ": is empty");
  if (!file.read(reinterpret_cast<char*>(buffer_.data()),
                 static_cast<std::streamsize>(buffer_.size())))
    throw FileError(path.string() + ": cannot read all of it");
  bytes_ = buffer_;
  refuse_git_lfs_pointer(bytes_, path.string());
}

inline MappedFile::~MappedFile() = default;

inline void MappedFile::release_pages() const noexcept {}

#endif

}  // namespace lora::io
