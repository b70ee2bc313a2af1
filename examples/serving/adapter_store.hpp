#pragma once

#include <atomic>
#include <cstddef>
#include <lora/adapters/adapter_registry.hpp>
#include <lora/peft/register_adapter.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace serving {

/// The adapters by the names that requests know. The registry has each under that name and a number
/// of its own, "french#2": whoever began with an adapter goes on with it when another has taken its
/// place, or none, and the last one to be done frees it. All calls may run at once.
class AdapterStore {
 public:
  /// An adapter's name in the registry, and its life: it stays there while somebody has this.
  using Handle = std::shared_ptr<const std::string>;

  /// Keeps adapters in `registry`, which outlives it.
  explicit AdapterStore(lora::AdapterRegistry<float>& registry) : registry_(registry) {}

  /// Adds an adapter, or puts it in the place of the one of this name. Throws what
  /// peft::add_adapter throws, and then nothing has changed.
  void put(const std::string& name, lora::peft::AdapterValues<float> values) {
    auto versioned = std::make_shared<const std::string>(lora::message(name, "#", ++count_));
    lora::peft::add_adapter(registry_, *versioned, std::move(values));
    const std::lock_guard lock(mutex_);
    Handle& current = current_[name];
    std::swap(current, versioned);
    if (versioned != nullptr) retired_.push_back(std::move(versioned));
    sweep();
  }

  /// Removes the adapter called `name`, if there is one: no request begins with it any more.
  void remove(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = current_.find(name);
    if (found == current_.end()) return;
    retired_.push_back(std::move(found->second));
    current_.erase(found);
    sweep();
  }

  /// Returns the adapter called `name`, null if there is none.
  [[nodiscard]] Handle find(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = current_.find(name);
    return found == current_.end() ? nullptr : found->second;
  }

  /// Gives a handle back, and frees what nobody uses any more.
  void release(Handle handle) {
    const std::lock_guard lock(mutex_);
    handle.reset();
    sweep();
  }

  /// Lists the names, sorted.
  [[nodiscard]] std::vector<std::string> names() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, handle] : current_) names.push_back(name);
    return names;
  }

 private:
  // Nobody gets a new handle of what is retired, so a count of one is the last.
  void sweep() {
    std::erase_if(retired_, [&](const Handle& handle) {
      if (handle.use_count() > 1) return false;
      registry_.remove(*handle);
      return true;
    });
  }

  lora::AdapterRegistry<float>& registry_;
  mutable std::mutex mutex_;
  std::map<std::string, Handle> current_;
  std::vector<Handle> retired_;
  std::atomic<std::size_t> count_ = 0;
};

}  // namespace serving
