#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace lora {

/// A value that some threads read while another replaces it as a whole. A reader keeps the value
/// that it got for as long as it likes: what is published is never written again, and freed when
/// nobody has it any more.
///
/// `get` and `update` may be called by any number of threads at once; a reader waits at most while
/// a pointer is copied. Copies share the value; what is moved from may only be assigned to or
/// destroyed. (std::atomic<std::shared_ptr> does the same in libstdc++ 12 by a lock in the pointer
/// that the thread sanitizer does not know.)
template <class Value>
class Published {
 public:
  /// Publishes `value`.
  explicit Published(Value value) : value_(std::make_shared<const Value>(std::move(value))) {}

  Published(const Published& other) : value_(other.get()) {}
  Published(Published&& other) noexcept : value_(std::move(other.value_)) {}
  ~Published() = default;

  Published& operator=(Published other) noexcept {
    value_.swap(other.value_);
    return *this;
  }

  /// Returns the value that was published last. Allocates nothing.
  [[nodiscard]] std::shared_ptr<const Value> get() const {
    const std::lock_guard lock(reading_);
    return value_;
  }

  /// Publishes a copy of the value to which change(copy) was done. Changes come one after another;
  /// one that throws changes nothing.
  template <class Change>
  void update(const Change& change) {
    const std::lock_guard one_at_a_time(changing_);
    auto copy = std::make_shared<Value>(*get());
    change(*copy);
    std::shared_ptr<const Value> next(std::move(copy));
    const std::lock_guard lock(reading_);
    value_.swap(next);
  }

  /// Publishes `next` in the value's place; nobody else may change the value meanwhile. What was
  /// there is freed afterwards, not while readers wait.
  void replace(std::shared_ptr<const Value> next) noexcept {
    const std::lock_guard lock(reading_);
    value_.swap(next);
  }

 private:
  mutable std::mutex reading_;  // held while the pointer is copied
  std::mutex changing_;         // held by who replaces it
  std::shared_ptr<const Value> value_;
};

}  // namespace lora
