#pragma once

#include <exception>
#include <iostream>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace examples {

/// Lets the library compute on so many threads.
inline void use_threads([[maybe_unused]] int threads) {
#ifdef _OPENMP
  omp_set_num_threads(threads);
#endif
}

/// Runs the rest of a program, `action`, with so many threads for the library, and tells what it
/// throws under the program's name. Returns what main returns: 0 where action() is true.
template <class Action>
[[nodiscard]] int run_program(const char* name, int threads, const Action& action) {
  use_threads(threads);
  try {
    return action() ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << name << ": " << error.what() << '\n';
    return 1;
  }
}

}  // namespace examples
