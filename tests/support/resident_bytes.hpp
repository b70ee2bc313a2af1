#pragma once

#include <cstddef>
#include <fstream>
#include <string>

namespace lora::test {

/// Says how many bytes of this process are in memory: its own, and pages of files that it mapped.
struct ResidentBytes {
  std::size_t own = 0;
  std::size_t of_files = 0;
};

/// Returns what Linux says of this process, for which a file in memory is shared memory; zeros
/// elsewhere.
[[nodiscard]] inline ResidentBytes resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  std::size_t kilobytes = 0;
  ResidentBytes bytes;
  while (status >> word) {
    if (word == "RssAnon:" && status >> kilobytes) bytes.own = kilobytes * 1024;
    if ((word == "RssFile:" || word == "RssShmem:") && status >> kilobytes)
      bytes.of_files += kilobytes * 1024;
  }
  return bytes;
}

}  // namespace lora::test
