#pragma once

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

}  // namespace lora::test
