#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "request.hpp"

namespace serving {

using Clock = std::chrono::steady_clock;

/// Returns the seconds from one moment to another.
[[nodiscard]] inline double seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// A request and the moment when it was read.
struct Arrival {
  Request request;
  Clock::time_point when;
};

/// The requests that wait for their turn, from the thread that reads to the one that computes.
class RequestQueue {
 public:
  explicit RequestQueue(std::size_t most) : most_(most) {}

  /// Appends a request, once there is room. Returns false if nobody takes it any more.
  bool push(Request request) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_.size() < most_ || ended_; });
    if (ended_) return false;
    waiting_.push_back({std::move(request), Clock::now()});
    changed_.notify_all();
    return true;
  }

  /// Says that no more come, or that no more are taken.
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  /// Takes the first; nothing where there is none. With `wait` it waits for one, or for the end.
  [[nodiscard]] std::optional<Arrival> pop(bool wait) {
    std::unique_lock lock(mutex_);
    if (wait) changed_.wait(lock, [&] { return !waiting_.empty() || ended_; });
    if (waiting_.empty()) return std::nullopt;
    std::optional<Arrival> first(std::move(waiting_.front()));
    waiting_.pop_front();
    changed_.notify_all();
    return first;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Arrival> waiting_;
  std::size_t most_;
  bool ended_ = false;
};

}  // namespace serving
