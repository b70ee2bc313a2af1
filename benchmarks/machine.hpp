#pragma once

#include <Eigen/Core>
#include <fstream>
#include <lora/core/error.hpp>
#include <map>
#include <string>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace lora::bench {

/// Returns the processor's name as /proc/cpuinfo gives it, with family and model where a virtual
/// machine's name says too little; "unknown" where there is no such file.
[[nodiscard]] inline std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  std::map<std::string, std::string> first;  // of each key
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    const auto value = line.find_first_not_of(" \t", colon + 1);
    first.emplace(key, value == std::string::npos ? "" : line.substr(value));
  }
  for (const char* key : {"model name", "Model", "Hardware", "cpu"})
    if (const auto name = first.find(key); name != first.end()) {
      if (first.contains("cpu family") && first.contains("model"))
        return name->second + " (family " + first["cpu family"] + ", model " + first["model"] + ")";
      return name->second;
    }
  return "unknown";
}

/// Returns Eigen's version: "3.4.0".
[[nodiscard]] inline std::string eigen_version() {
#ifdef EIGEN_VERSION_STRING
  return EIGEN_VERSION_STRING;
#else
  return message(EIGEN_WORLD_VERSION, ".", EIGEN_MAJOR_VERSION, ".", EIGEN_MINOR_VERSION);
#endif
}

/// Returns how many threads a large product uses.
[[nodiscard]] inline int thread_count() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

}  // namespace lora::bench
