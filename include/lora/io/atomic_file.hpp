#pragma once

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "lora/io/mapped_file.hpp"

#if !__has_include(<unistd.h>)
#include <fstream>
#endif

namespace lora::io {

/// A file that is written so that a reader, and whoever comes after a crash, finds the old one or
/// the new one and never a part: the bytes go to a temporary file in the same directory, which is
/// brought to the disk and renamed over the target. Without commit() the temporary is removed and
/// the target untouched; a process that is killed leaves the temporary (`.lora-*.tmp`) behind.
class AtomicFile {
 public:
  /// Opens the temporary. Throws FileError.
  explicit AtomicFile(std::filesystem::path target);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// Appends bytes. Throws FileError.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

  /// Brings what was written to the disk, so that commit() has only a renaming left to do. For
  /// files that belong together: flush them all, then commit them all. Throws FileError.
  void flush();

  /// Puts the new file in the place of the old one, flushed; call it once, last. Throws FileError.
  /// If only the last step fails, bringing the directory to the disk, the new file is in place.
  void commit();

  [[nodiscard]] const std::filesystem::path& path() const { return target_; }

 private:
  static std::string temporary_name() {
    // 64 bits, so that names differ between processes, threads and calls; the file is opened
    // exclusively, so that an accident would be an error and not a mixture.
    std::random_device random;
    const auto high = random(), low = random();
    return message(".lora-", high, "-", low, ".tmp");
  }

  std::filesystem::path target_;
  std::filesystem::path temporary_;
#if __has_include(<unistd.h>)
  int file_ = -1;
  int directory_ = -1;
#else
  std::ofstream file_;
#endif
};

/// Writes `text` as the whole of the file, atomically. Throws FileError.
inline void write_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

#if __has_include(<unistd.h>)

inline AtomicFile::AtomicFile(std::filesystem::path target) : target_(std::move(target)) {
  const std::filesystem::path parent =
      target_.has_parent_path() ? target_.parent_path() : std::filesystem::path(".");
  std::filesystem::path temporary = parent / temporary_name();
  // Opened first: a directory that cannot be brought to the disk should fail before the rename.
  directory_ = ::open(parent.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  if (directory_ < 0) throw_system_error(target_, "cannot open its directory", errno);
  file_ = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file_ < 0) {
    const int error = errno;
    ::close(directory_);
    throw_system_error(target_, "cannot create a temporary file beside it", error);
  }
  temporary_ = std::move(temporary);
}

inline AtomicFile::~AtomicFile() {
  if (file_ >= 0) ::close(file_);
  if (directory_ >= 0) ::close(directory_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

inline void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_system_error(target_, "cannot write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

inline void AtomicFile::flush() {
  if (file_ < 0) return;
  if (::fsync(file_) != 0) throw_system_error(target_, "cannot bring it to the disk", errno);
  const int closed = ::close(file_);
  file_ = -1;
  if (closed != 0) throw_system_error(target_, "cannot close", errno);
}

inline void AtomicFile::commit() {
  flush();
  if (::rename(temporary_.c_str(), target_.c_str()) != 0)
    throw_system_error(target_, "cannot put the new file in its place", errno);
  temporary_.clear();
  // Some file systems do not know fsync of a directory: they say EINVAL.
  if (::fsync(directory_) != 0 && errno != EINVAL)
    throw_system_error(target_, "is written, but its directory cannot be brought to the disk",
                       errno);
}

#else

inline AtomicFile::AtomicFile(std::filesystem::path target)
    : target_(std::move(target)), temporary_(target_.parent_path() / temporary_name()) {
  file_.open(temporary_, std::ios::binary);
  if (!file_) throw FileError(target_.string() + ": cannot create a temporary file beside it");
}

inline AtomicFile::~AtomicFile() {
  file_.close();
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove(temporary_, ignored);
}

inline void AtomicFile::write(std::span<const std::byte> bytes) {
  if (!file_.write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size())))
    throw FileError(target_.string() + ": cannot write");
}

inline void AtomicFile::flush() {
  if (!file_.is_open()) return;
  file_.close();
  if (!file_) throw FileError(target_.string() + ": cannot close");
}

inline void AtomicFile::commit() {
  flush();
  std::error_code error;
  std::filesystem::rename(temporary_, target_, error);
  if (error)
    throw FileError(target_.string() +
                    ": cannot put the new file in its place: " + error.message());
  temporary_.clear();
}

#endif

}  // namespace lora::io
