#pragma once

#include "lora/core/matrix.hpp"

#ifdef _OPENMP
#include <omp.h>

#include <exception>
#endif

namespace lora {

/// Returns how many threads a loop of `tasks` tasks and about `work` multiply-adds should use: one
/// without OpenMP, inside a parallel region of the caller's, or for work too small to share.
[[nodiscard]] inline int threads_for(Index tasks, double work) {
#ifdef _OPENMP
  // Waking a team costs some microseconds, in which one core does about this much.
  constexpr double worth_sharing = 1 << 20;
  if (tasks < 2 || work < worth_sharing || omp_in_parallel() != 0) return 1;
  const Index most = omp_get_max_threads();
  return static_cast<int>(most < tasks ? most : tasks);
#else
  static_cast<void>(tasks);
  static_cast<void>(work);
  return 1;
#endif
}

/// Calls body(task) for every task in [0, tasks), each thread taking one run of neighbouring
/// tasks. The tasks must not depend on each other and must be the same for any number of threads:
/// then so is the result, bit for bit. The first exception of a task is thrown again here. Where
/// the system refuses a thread (a limit to memory or to processes), OpenMP itself ends the program,
/// with its own message; under a ThreadLimit of 1 none is started.
template <class Body>
void parallel_for(Index tasks, int threads, const Body& body) {
#ifdef _OPENMP
  if (threads > 1) {
    std::exception_ptr failure;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (Index task = 0; task < tasks; ++task) {
      try {
        body(task);
      } catch (...) {
#pragma omp critical(lora_parallel_for)
        if (!failure) failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
    return;
  }
#endif
  static_cast<void>(threads);
  for (Index task = 0; task < tasks; ++task) body(task);
}

}  // namespace lora
