#pragma once

#include <chrono>

namespace lora::bench {

/// Returns the seconds that one run of `work` takes.
template <class Work>
[[nodiscard]] double seconds(const Work& work) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace lora::bench
