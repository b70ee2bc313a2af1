#pragma once

// What MappedFile, AtomicFile and NewDirectory ask of a system, by Windows; posix_files.hpp has the
// same names and says what they do.

#include "lora/io/platform/system_error.hpp"

#ifdef _WIN32

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

// Declared as <windows.h> does, because its macros (min, max, near, small ...) would be every
// user's.
struct _SECURITY_ATTRIBUTES;
struct _OVERLAPPED;
extern "C" {
__declspec(dllimport) void* __stdcall CreateFileW(const wchar_t*, unsigned long, unsigned long,
                                                  _SECURITY_ATTRIBUTES*, unsigned long,
                                                  unsigned long, void*);
__declspec(dllimport) int __stdcall CloseHandle(void*);
__declspec(dllimport) unsigned long __stdcall GetLastError();
__declspec(dllimport) unsigned long __stdcall GetFileType(void*);
__declspec(dllimport) unsigned long __stdcall GetFileSize(void*, unsigned long*);
__declspec(dllimport) void* __stdcall CreateFileMappingW(void*, _SECURITY_ATTRIBUTES*,
                                                         unsigned long, unsigned long,
                                                         unsigned long, const wchar_t*);
__declspec(dllimport) void* __stdcall MapViewOfFile(void*, unsigned long, unsigned long,
                                                    unsigned long, std::size_t);
__declspec(dllimport) int __stdcall UnmapViewOfFile(const void*);
__declspec(dllimport) int __stdcall VirtualUnlock(void*, std::size_t);
__declspec(dllimport) int __stdcall WriteFile(void*, const void*, unsigned long, unsigned long*,
                                              _OVERLAPPED*);
__declspec(dllimport) int __stdcall FlushFileBuffers(void*);
__declspec(dllimport) int __stdcall MoveFileExW(const wchar_t*, const wchar_t*, unsigned long);
__declspec(dllimport) int __stdcall DeleteFileW(const wchar_t*);
}

namespace lora::io::platform {

[[nodiscard]] inline std::error_code last_error() {
  return {static_cast<int>(GetLastError()), std::system_category()};
}

/// Closes a handle of Windows at the end of its scope.
class Handle {
 public:
  explicit Handle(void* handle) : handle_(handle) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { close(); }

  /// Tells whether there is one: functions give INVALID_HANDLE_VALUE (-1) or null for none.
  [[nodiscard]] bool is_open() const {
    return handle_ != nullptr && reinterpret_cast<std::intptr_t>(handle_) != -1;
  }
  [[nodiscard]] void* get() const { return handle_; }
  void close() {
    if (is_open()) CloseHandle(handle_);
    handle_ = nullptr;
  }

 private:
  void* handle_;
};

[[nodiscard]] inline std::span<const std::byte> map_file(const std::filesystem::path& path) {
  constexpr unsigned long generic_read = 0x80000000, share_read = 1, share_delete = 4,
                          open_existing = 3, attribute_normal = 0x80, type_disk = 1,
                          page_readonly = 2, map_read = 4, invalid_size = 0xffffffff;
  const Handle file(CreateFileW(path.c_str(), generic_read, share_read | share_delete, nullptr,
                                open_existing, attribute_normal, nullptr));
  if (!file.is_open()) {
    const std::error_code error = last_error();
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
      throw FileError(path.string() + ": is not a regular file");
    throw_system_error(path, "cannot open", error);
  }
  if (GetFileType(file.get()) != type_disk)
    throw FileError(path.string() + ": is not a regular file");
  unsigned long high = 0;
  const unsigned long low = GetFileSize(file.get(), &high);
  if (low == invalid_size)
    if (const std::error_code error = last_error())
      throw_system_error(path, "cannot read its size", error);
  const auto size = static_cast<std::size_t>((std::uint64_t{high} << 32) | low);
  if (size == 0) throw FileError(path.string() + ": is empty");
  const Handle mapping(CreateFileMappingW(file.get(), nullptr, page_readonly, 0, 0, nullptr));
  const void* memory =
      mapping.is_open() ? MapViewOfFile(mapping.get(), map_read, 0, 0, 0) : nullptr;
  if (memory == nullptr) throw_system_error(path, "cannot map", last_error());
  return {static_cast<const std::byte*>(memory), size};
}

inline void unmap_file(std::span<const std::byte> bytes) noexcept { UnmapViewOfFile(bytes.data()); }

inline void release_pages(std::span<const std::byte> bytes) noexcept {
  // Of pages that are not locked, VirtualUnlock says so, and takes them from the working set.
  VirtualUnlock(const_cast<std::byte*>(bytes.data()), bytes.size());
}

class ReplacingFile {
 public:
  ReplacingFile(const std::filesystem::path& target, const std::filesystem::path& name)
      : path_(target.parent_path() / name),
        file_(CreateFileW(path_.c_str(), generic_write, 0, nullptr, create_new, attribute_normal,
                          nullptr)) {
    if (!file_.is_open())
      throw_system_error(target, "cannot create a temporary file beside it", last_error());
  }
  ReplacingFile(const ReplacingFile&) = delete;
  ReplacingFile& operator=(const ReplacingFile&) = delete;
  ~ReplacingFile() {
    file_.close();
    if (!path_.empty()) DeleteFileW(path_.c_str());
  }

  void write(const std::filesystem::path& target, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      constexpr std::size_t most = std::size_t{1} << 30;  // a size is of 32 bits
      unsigned long written = 0;
      if (WriteFile(file_.get(), bytes.data(),
                    static_cast<unsigned long>(std::min(bytes.size(), most)), &written,
                    nullptr) == 0)
        throw_system_error(target, "cannot write", last_error());
      bytes = bytes.subspan(written);
    }
  }

  void flush(const std::filesystem::path& target) {
    if (!file_.is_open()) return;
    if (FlushFileBuffers(file_.get()) == 0)
      throw_system_error(target, "cannot bring it to the disk", last_error());
    file_.close();
  }

  /// Takes the target's place, once, after flush. Throws FileError; the target may not be mapped,
  /// nor be open in a program that does not share it.
  void rename(const std::filesystem::path& target) {
    if (path_.empty()) return;
    constexpr unsigned long replace_existing = 1, write_through = 8;
    if (MoveFileExW(path_.c_str(), target.c_str(), replace_existing | write_through) == 0)
      throw_system_error(target, "cannot put the new file in its place", last_error());
    path_.clear();
  }

  /// Has nothing to do: renaming wrote through.
  void settle(const std::filesystem::path&) {}

 private:
  static constexpr unsigned long generic_write = 0x40000000, create_new = 1,
                                 attribute_normal = 0x80;

  std::filesystem::path path_;
  Handle file_;
};

// Does nothing: a directory has no lock here.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::filesystem::path&) {}
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  ~DirectoryLock() {}
};

inline void move_directory(const std::filesystem::path& from, const std::filesystem::path& to,
                           std::error_code& error) {
  // A directory is not renamed onto another here, be it empty; one with files is not removed.
  std::filesystem::remove(to, error);
  if (!error) std::filesystem::rename(from, to, error);
}

}  // namespace lora::io::platform

#endif
