#pragma once

#include <cstddef>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "lora/core/error.hpp"
#include "lora/io/platform/posix_files.hpp"
#include "lora/io/platform/windows_files.hpp"

namespace lora::io {

/// A file that is written so that a reader, and whoever comes after a crash, finds the old one or
/// the new one and never a part: the bytes go to a temporary file in the same directory, which is
/// brought to the disk and renamed over the target. Without commit() the temporary is removed and
/// the target untouched; a process that is killed leaves the temporary (`.lora-*.tmp`) behind.
class AtomicFile {
 public:
  /// Opens the temporary. Throws FileError.
  explicit AtomicFile(std::filesystem::path target)
      : target_(std::move(target)), file_(target_, temporary_name()) {}

  /// Appends bytes. Throws FileError.
  void write(std::span<const std::byte> bytes) { file_.write(target_, bytes); }
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

  /// Brings what was written to the disk, so that commit() has only a renaming left to do. For
  /// files that belong together: flush them all, then commit them all. Throws FileError.
  void flush() { file_.flush(target_); }

  /// Puts the new file in the place of the old one, flushed; call it once, last. Throws FileError.
  /// If only the last step fails, bringing the directory to the disk, the new file is in place.
  /// Windows refuses to replace a file that is mapped.
  void commit() {
    flush();
    file_.replace(target_);
  }

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
  platform::ReplacingFile file_;
};

/// Writes `text` as the whole of the file, atomically. Throws FileError.
inline void write_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace lora::io
