#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lora {

/// The adapters of several layers at one moment: what a batch that goes through all of them
/// computes with, whatever is added, replaced or deleted meanwhile. It keeps the adapters alive.
/// Read-only after `finish`, and then any number of threads may read it.
class AdapterSnapshot {
 public:
  /// Notes the set of the layer at this address.
  void add(const void* layer, std::shared_ptr<const void> set) {
    sets_.push_back({layer, std::move(set)});
  }

  /// Notes that at least one of the layers has an adapter called `name`.
  void add_name(std::string name) { names_.push_back(std::move(name)); }

  /// Sorts what was noted; call it once, before the first `find`, `names` or `has`.
  void finish() {
    std::sort(sets_.begin(), sets_.end(),
              [](const Part& a, const Part& b) { return std::less<>()(a.layer, b.layer); });
    std::sort(names_.begin(), names_.end());
    names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
  }

  /// Returns the set of the layer at this address, or null.
  [[nodiscard]] std::shared_ptr<const void> find(const void* layer) const {
    const auto found = std::lower_bound(
        sets_.begin(), sets_.end(), layer,
        [](const Part& part, const void* address) { return std::less<>()(part.layer, address); });
    return found == sets_.end() || found->layer != layer ? nullptr : found->set;
  }

  /// Lists the names of all adapters, sorted.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

  /// Tells whether one of the layers has an adapter called `name`.
  [[nodiscard]] bool has(std::string_view name) const {
    return std::binary_search(names_.begin(), names_.end(), name);
  }

 private:
  struct Part {
    const void* layer;
    std::shared_ptr<const void> set;
  };

  std::vector<Part> sets_;
  std::vector<std::string> names_;
};

}  // namespace lora
