#pragma once

#include <csignal>

namespace serving {

namespace detail {

// What a signal's handler can reach has to be global.
inline volatile std::sig_atomic_t hangups = 0;

inline void count_hangup(int) { hangups = hangups + 1; }

}  // namespace detail

/// Counts SIGHUP from now on, which would end the program otherwise.
inline void watch_hangups() {
#ifdef SIGHUP
  std::signal(SIGHUP, detail::count_hangup);
#endif
}

/// Returns how many have come.
[[nodiscard]] inline int hangups() { return detail::hangups; }

}  // namespace serving
