#pragma once

#include <fstream>
#include <limits>
#include <string>

namespace lora::bench {

/// Holds the memory of this process that is in RAM.
struct ProcessMemory {
  long peak_kib = 0;  ///< the most that it ever was
  long now_kib = 0;
};

/// Reads /proc/self/status; zeros where there is no such file.
[[nodiscard]] inline ProcessMemory process_memory() {
  ProcessMemory memory;
  std::ifstream file("/proc/self/status");
  for (std::string key; file >> key;) {
    if (key == "VmHWM:") file >> memory.peak_kib;
    if (key == "VmRSS:") file >> memory.now_kib;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return memory;
}

}  // namespace lora::bench
