#pragma once

#include <algorithm>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace lora {

/// A scope in which the library's calls of this thread use at most so many threads:
///
///     const lora::ThreadLimit limit(1);  // this thread alone serves its requests
///     layer.forward(x, y);
///
/// Eight threads of a server that each set a limit of 1 are eight threads, where OpenMP would start
/// a team for each. It is OpenMP's own setting of the calling thread that is changed, and set back
/// at the end of the scope: other threads, and results, which are the same bits for any number of
/// threads, are not affected. Without OpenMP it does nothing, for then every call uses one thread.
class ThreadLimit {
 public:
  /// Limits the calling thread to `threads`, at least 1.
  explicit ThreadLimit([[maybe_unused]] int threads) {
#ifdef _OPENMP
    before_ = omp_get_max_threads();
    omp_set_num_threads(std::max(1, threads));
#endif
  }

  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

  ~ThreadLimit() {
#ifdef _OPENMP
    omp_set_num_threads(before_);
#endif
  }

 private:
#ifdef _OPENMP
  int before_ = 1;
#endif
};

}  // namespace lora
