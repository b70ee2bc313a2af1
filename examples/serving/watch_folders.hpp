#pragma once

#include <atomic>
#include <chrono>
#include <lora/core/thread_limit.hpp>
#include <thread>

#include "adapter_watcher.hpp"
#include "hangup.hpp"
#include "request_queue.hpp"

namespace serving {

/// Lets `watcher` look every `poll` seconds (0: never) and reload after each SIGHUP, until `done`:
/// in a thread of its own, while requests are served.
inline void watch_folders(AdapterWatcher& watcher, double poll, const std::atomic<bool>& done) {
  const lora::ThreadLimit limit(1);  // the others compute
  int seen = hangups();
  for (auto last = Clock::now(); !done;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (const int now = hangups(); now != seen) {
      seen = now;
      watcher.reload();
    } else if (poll > 0 && seconds(last, Clock::now()) >= poll) {
      watcher.look();
      last = Clock::now();
    }
  }
}

}  // namespace serving
