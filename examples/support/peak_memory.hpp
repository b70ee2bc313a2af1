#pragma once

#include <fstream>

#include "../../benchmarks/peers/process_memory.hpp"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace examples {

/// Lets the peak of this process's memory begin anew, after giving freed memory back to the system.
/// Returns false where the system has no way to: the peak then counts from the process's start.
inline bool reset_peak_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
  std::ofstream file("/proc/self/clear_refs");
  file << 5;
  return static_cast<bool>(file.flush());
}

/// Returns the most memory that the process had since then, in MiB.
[[nodiscard]] inline double peak_memory_mib() {
  return static_cast<double>(lora::bench::process_memory().peak_kib) / 1024;
}

}  // namespace examples
