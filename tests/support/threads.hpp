#pragma once

#include <lora/core/parallel.hpp>

#include "support/allocations.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace lora::test {

/// Sets the number of OpenMP threads for its scope; does nothing without OpenMP.
class Threads {
 public:
  explicit Threads(int count) {
#ifdef _OPENMP
    before_ = omp_get_max_threads();
    omp_set_num_threads(count);
#else
    static_cast<void>(count);
#endif
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() {
#ifdef _OPENMP
    omp_set_num_threads(before_);
#endif
  }

 private:
  int before_ = 1;
};

/// Returns `count`, or 1 where the OpenMP runtime takes memory from the heap for every parallel
/// region by itself, as LLVM's does: what the library allocates can be counted on so many threads.
[[nodiscard]] inline int countable_threads(int count) {
  const auto region = [count] { parallel_for(count, count, [](Index) {}); };
  region();  // starts the threads
  return allocations_of(region).count == 0 ? count : 1;
}

}  // namespace lora::test
