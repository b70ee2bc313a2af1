#pragma once

#include <memory>
#include <utility>

namespace lora {

/// A value whose copies share its memory until one of them is written, which then gets memory of
/// its own: frozen weights that several layers have. Const calls may come from several threads at
/// once, and so may calls on different copies.
template <class Value>
class SharedUntilWritten {
 public:
  explicit SharedUntilWritten(Value value) : value_(std::make_shared<Value>(std::move(value))) {}

  [[nodiscard]] const Value& operator*() const { return *value_; }
  [[nodiscard]] const Value* operator->() const { return value_.get(); }

  /// Returns the value for writing, which no copy shares any more. Throws std::bad_alloc.
  [[nodiscard]] Value& own() {
    {
      // A copy that was dropped in another thread has been read there: this waits for that.
      const std::shared_ptr<Value> last_owner = value_;
    }
    if (value_.use_count() > 1) value_ = std::make_shared<Value>(std::as_const(*value_));
    return *value_;
  }

 private:
  std::shared_ptr<Value> value_;
};

}  // namespace lora
