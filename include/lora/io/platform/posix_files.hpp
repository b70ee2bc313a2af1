#pragma once

// What MappedFile, AtomicFile and NewDirectory ask of a system, by POSIX; windows_files.hpp has the
// same names.

#include "lora/io/platform/system_error.hpp"

#ifndef _WIN32

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

namespace lora::io::platform {

/// Maps a whole file for reading. Throws FileError if it cannot be opened, is not a regular file or
/// is empty.
[[nodiscard]] inline std::span<const std::byte> map_file(const std::filesystem::path& path) {
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
  return {static_cast<const std::byte*>(memory), size};
}

/// Ends what map_file began.
inline void unmap_file(std::span<const std::byte> bytes) noexcept {
  ::munmap(const_cast<std::byte*>(bytes.data()), bytes.size());
}

/// Gives the memory that holds parts of a mapped file back to the system.
inline void release_pages(std::span<const std::byte> bytes) noexcept {
  // The mapping is of a file and never written, so nothing is lost.
  ::madvise(const_cast<std::byte*>(bytes.data()), bytes.size(), MADV_DONTNEED);
}

/// A new file that takes the place of another when it is written. Errors name that one, `target`;
/// the destructor removes a file that did not get there.
class ReplacingFile {
 public:
  /// Creates a file of that name beside the target, which nobody else has. Throws FileError.
  ReplacingFile(const std::filesystem::path& target, const std::filesystem::path& name) {
    const std::filesystem::path parent =
        target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
    std::filesystem::path path = parent / name;
    // Opened first: a directory that cannot be brought to the disk should fail before the rename.
    directory_ = ::open(parent.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (directory_ < 0) throw_system_error(target, "cannot open its directory", errno);
    file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file_ < 0) {
      const int error = errno;
      ::close(directory_);
      throw_system_error(target, "cannot create a temporary file beside it", error);
    }
    path_ = std::move(path);
  }
  ReplacingFile(const ReplacingFile&) = delete;
  ReplacingFile& operator=(const ReplacingFile&) = delete;
  ~ReplacingFile() {
    if (file_ >= 0) ::close(file_);
    if (directory_ >= 0) ::close(directory_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  /// Appends bytes. Throws FileError.
  void write(const std::filesystem::path& target, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw_system_error(target, "cannot write", errno);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  /// Brings the bytes to the disk and closes the file, once. Throws FileError.
  void flush(const std::filesystem::path& target) {
    if (file_ < 0) return;
    if (::fsync(file_) != 0) throw_system_error(target, "cannot bring it to the disk", errno);
    const int closed = ::close(file_);
    file_ = -1;
    if (closed != 0) throw_system_error(target, "cannot close", errno);
  }

  /// Takes the target's place, once, after flush. Throws FileError.
  void rename(const std::filesystem::path& target) {
    if (path_.empty()) return;
    if (::rename(path_.c_str(), target.c_str()) != 0)
      throw_system_error(target, "cannot put the new file in its place", errno);
    path_.clear();
  }

  /// Brings the directory to the disk, after rename. Throws FileError.
  void settle(const std::filesystem::path& target) {
    // Some file systems do not know fsync of a directory: they say EINVAL.
    if (::fsync(directory_) != 0 && errno != EINVAL)
      throw_system_error(target, "is written, but its directory cannot be brought to the disk",
                         errno);
  }

 private:
  std::filesystem::path path_;
  int file_ = -1;
  int directory_ = -1;
};

/// A lock on a directory, which those who take it hold one after the other, until its destructor or
/// the end of the process. Where the file system knows no locks it does nothing.
class DirectoryLock {
 public:
  /// Waits for the lock.
  explicit DirectoryLock(const std::filesystem::path& directory)
      : file_(::open(directory.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY)) {
    while (file_ >= 0 && ::flock(file_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  ~DirectoryLock() {
    if (file_ < 0) return;
    ::flock(file_, LOCK_UN);  // closing alone would leave it to a child that was forked meanwhile
    ::close(file_);
  }

 private:
  int file_;
};

/// Gives a directory the name of one that is empty or not there; the error is clear if it has it.
inline void move_directory(const std::filesystem::path& from, const std::filesystem::path& to,
                           std::error_code& error) {
  std::filesystem::rename(from, to, error);
}

}  // namespace lora::io::platform

#endif
