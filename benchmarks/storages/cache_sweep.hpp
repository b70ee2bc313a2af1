#pragma once

#include <cstddef>
#include <cstdint>
#include <lora/core/matrix.hpp>
#include <lora/core/parallel.hpp>
#include <vector>

namespace lora::bench {

/// Empties the caches of what is timed next, as the other layers of a model larger than the caches
/// do: reads memory of its own, several times the last cache.
class CacheSweep {
 public:
  /// Takes `mib` MiB of memory.
  explicit CacheSweep(std::size_t mib) : memory_(mib * (1 << 20) / sizeof(std::uint64_t), 1) {}

  /// Reads all of it, with every thread, for each core has caches of its own. Nothing is written:
  /// changed lines would go back to memory while the next piece of work is timed.
  void run() {
    constexpr Index parts = 64;
    const auto part = static_cast<Index>(memory_.size()) / parts;
    std::vector<std::uint64_t> sums(static_cast<std::size_t>(parts));
    parallel_for(parts, threads_for(parts, 1e18), [&](Index p) {
      std::uint64_t sum = 0;
      for (Index i = p * part; i < (p + 1) * part; ++i) sum += memory_[static_cast<std::size_t>(i)];
      sums[static_cast<std::size_t>(p)] = sum;
    });
    std::uint64_t whole = 0;
    for (const std::uint64_t sum : sums) whole += sum;
    seen_ = whole;
  }

 private:
  std::vector<std::uint64_t> memory_;
  volatile std::uint64_t seen_ = 0;  // else a compiler may leave the reading out
};

}  // namespace lora::bench
