#pragma once

#include <cstddef>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "lora/core/error.hpp"
#include "lora/io/platform/posix_files.hpp"
#include "lora/io/platform/windows_files.hpp"

namespace lora::io {

/// A file that is written so that a reader, and whoever comes after a crash, finds the old one or
/// the new one and never a part: the bytes go to a temporary file in the same directory, which is
/// brought to the disk and renamed over the target. Without commit() the temporary is removed and
/// the target untouched; a process that is killed leaves the temporary (`.lora-*.tmp`) behind,
/// which disturbs no later write and may be deleted. Of two that write one file the later rename
/// wins. It is the directory that must allow writing: a target that is marked as read-only is
/// replaced.
class AtomicFile {
 public:
  /// Opens the temporary. Throws FileError, also if the target is there and is not a regular file:
  /// a rename would put one in the place of a device or a pipe.
  explicit AtomicFile(std::filesystem::path target)
      : target_(std::move(target)), file_(require_replaceable(target_), temporary_name()) {}

  /// Appends bytes. Throws FileError.
  void write(std::span<const std::byte> bytes) { file_.write(target_, bytes); }
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

  /// Brings what was written to the disk, so that commit() has only a renaming left to do. For
  /// files that belong together: flush them all, then commit them all. Throws FileError.
  void flush() { file_.flush(target_); }

  /// Puts the new file in the place of the old one, flushed, without waiting for the directory to
  /// reach the disk; call it once, before commit(). For files that belong together: rename them
  /// all, so that little lies between, then commit them all. Throws FileError.
  void rename() {
    flush();
    file_.rename(target_);
  }

  /// Puts the new file in the place of the old one, flushed; call it once, last. Throws FileError.
  /// If only the last step fails, bringing the directory to the disk, the new file is in place.
  /// Windows refuses to replace a file that is mapped.
  void commit() {
    rename();
    file_.settle(target_);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return target_; }

  /// Returns a name that no other call returns, for what lies beside a file for a while.
  [[nodiscard]] static std::string temporary_name() {
    // 64 bits, so that names differ between processes, threads and calls; the file is opened
    // exclusively, so that an accident would be an error and not a mixture.
    std::random_device random;
    const auto high = random(), low = random();
    return message(".lora-", high, "-", low, ".tmp");
  }

 private:
  static const std::filesystem::path& require_replaceable(const std::filesystem::path& target) {
    std::error_code unknown;  // what cannot be looked at, opening the temporary tells
    const auto status = std::filesystem::status(target, unknown);
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
      throw FileError(target.string() + ": is not a regular file, which alone can be replaced");
    return target;
  }

  std::filesystem::path target_;
  platform::ReplacingFile file_;
};

/// Writes `text` as the whole of the file, atomically. Throws FileError.
inline void write_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace lora::io
