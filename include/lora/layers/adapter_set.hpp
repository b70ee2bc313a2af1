#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"

namespace lora {

/// The name for rows of a mixed batch that go without an adapter, as in PEFT; no adapter has it.
inline constexpr const char* base_adapter = "__base__";

/// The name for rows of a mixed batch that go with each layer's active adapter, if it has one.
inline constexpr const char* active_adapters = "__active__";

/// The adapters of one layer by name, and what a forward uses of them: the active one, if any and
/// if switched on. A value: a layer publishes each change of it as a whole, so that whoever
/// computes meanwhile has the old set or the new one. Copies share the adapters; `clone` copies
/// them too.
///
/// `Adapter` is a LoRAAdapter<T> or what has its config(), rank() and set_name().
template <class Adapter>
class AdapterSet {
 public:
  /// An adapter as it stands in the set.
  struct Entry {
    std::string name;
    std::shared_ptr<const Adapter> adapter;
    double factor = 1;        ///< of set_scale
    double layer_factor = 1;  ///< of set_layer_factor

    /// Returns the factor s of the low-rank path.
    [[nodiscard]] double scaling() const { return layer_factor * own_scaling(); }

    /// Returns the same without the layer's factor, for what becomes an adapter of the layer again.
    [[nodiscard]] double own_scaling() const { return factor * adapter->config().scaling(); }
  };

  [[nodiscard]] bool empty() const { return entries_.empty(); }

  /// Lists the adapters in the order in which they were added.
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

  /// Returns the adapter called `name`, or null; the active one for active_adapters.
  [[nodiscard]] const Entry* find(std::string_view name) const {
    if (name == active_adapters) return active();
    const auto found = position(name);
    return found == entries_.end() ? nullptr : &*found;
  }

  /// Returns the adapter called `name`. Throws ConfigError, naming `where`, if there is none.
  template <class Where>
  [[nodiscard]] const Entry& at(std::string_view name, const Where& where) const {
    return entries_[place_of(name, where)];
  }

  /// Returns the adapter that was activated, switched on or not, or null.
  [[nodiscard]] const Entry* active() const { return active_ ? &entries_[*active_] : nullptr; }

  /// Tells whether the active adapter is switched on.
  [[nodiscard]] bool enabled() const { return enabled_; }

  /// Returns what a forward uses: the active adapter unless switched off, or null.
  [[nodiscard]] const Entry* in_use() const { return enabled_ ? active() : nullptr; }

  /// Adds an adapter; the first of a set becomes active. Throws ConfigError, naming `where`, for a
  /// name that is empty, reserved for routes (base_adapter, active_adapters), or taken.
  template <class Where>
  void add(std::string name, std::shared_ptr<Adapter> adapter, const Where& where) {
    if (name.empty()) throw ConfigError(message(where, ": an adapter needs a name"));
    if (name == base_adapter || name == active_adapters)
      throw ConfigError(message(where, ": an adapter cannot be called \"", name,
                                "\", which routes rows of mixed batches"));
    if (find(name) != nullptr)
      throw ConfigError(
          message(where, ": there is an adapter called \"", printable(name), "\" already"));
    entries_.push_back({std::move(name), std::move(adapter), 1, layer_factor_});
    if (entries_.size() == 1) active_ = 0;
  }

  /// Takes the adapter called `name` out; none is active afterwards if it was. Throws ConfigError
  /// if there is none.
  template <class Where>
  void remove(std::string_view name, const Where& where) {
    const std::size_t place = place_of(name, where);
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(place));
    if (active_ == place)
      active_.reset();
    else if (active_ > place)
      --*active_;
  }

  /// Makes the adapter called `name` the active one. Throws ConfigError if there is none.
  template <class Where>
  void activate(std::string_view name, const Where& where) {
    active_ = place_of(name, where);
  }

  /// Lets no adapter be active.
  void deactivate() { active_.reset(); }

  /// Switches the active adapter on or off.
  void set_enabled(bool enabled) { enabled_ = enabled; }

  /// Scales the active adapter, which there must be.
  void set_factor(double factor) { entries_[active_.value()].factor = factor; }

  /// Multiplies the scaling of every adapter, those that will be added too, beside set_factor's.
  void set_layer_factor(double factor) {
    layer_factor_ = factor;
    for (Entry& entry : entries_) entry.layer_factor = factor;
  }

  /// Puts `adapter` in the place of the active one, which there must be.
  void replace(std::shared_ptr<Adapter> adapter) {
    entries_[active_.value()].adapter = std::move(adapter);
  }

  /// Calls change(adapter) for every adapter: for the layer that owns them and may change them.
  template <class Change>
  void for_each(const Change& change) {
    for (const Entry& entry : entries_) change(const_cast<Adapter&>(*entry.adapter));
  }

  /// Returns a set of copies of the adapters.
  [[nodiscard]] AdapterSet clone() const {
    AdapterSet copy(*this);
    for (Entry& entry : copy.entries_) entry.adapter = std::make_shared<Adapter>(*entry.adapter);
    return copy;
  }

  /// Ties the adapter called `name` to the layer's model, which does for it what it would not for
  /// another, as `reason` says: it stays in the set; where it is `always_active`, no other is
  /// active and it is not left inactive. See require_tie.
  void tie(std::string name, std::string reason, bool always_active) {
    tie_ = {std::move(name), std::move(reason), always_active};
  }

  /// Throws StateError, naming `where`, unless the set is as its tie has it.
  template <class Where>
  void require_tie(const Where& where) const {
    if (tie_.name.empty()) return;
    if (find(tie_.name) == nullptr) refuse_untied(" stays in its model", where);
    if (tie_.always_active && (active() == nullptr || active()->name != tie_.name))
      refuse_untied(" is the only one that may be active", where);
  }

  /// Throws the same, and unless the tied adapter is the object that it is in `before`.
  template <class Where>
  void require_tie(const AdapterSet& before, const Where& where) const {
    require_tie(where);
    if (tie_.name.empty() || before.find(tie_.name) == nullptr) return;
    if (find(tie_.name)->adapter != before.find(tie_.name)->adapter)
      refuse_untied(" is not replaced", where);
  }

  /// Says what a forward with `later` would use that one with this set did not; empty if both use
  /// the same.
  [[nodiscard]] std::string difference(const AdapterSet& later) const {
    const Entry *before = in_use(), *after = later.in_use();
    if (before == nullptr && after == nullptr) return {};
    if (before == nullptr) return message("the adapter ", quoted(*after), " was switched on");
    if (after == nullptr) return message("the adapter ", quoted(*before), " was switched off");
    if (before->name != after->name)
      return message("the adapter ", quoted(*before), " was active and ", quoted(*after),
                     " is now");
    if (before->adapter != after->adapter)
      return message("the adapter ", quoted(*before), " was replaced: its rank was ",
                     before->adapter->rank(), " and is ", after->adapter->rank());
    if (before->scaling() != after->scaling())
      return message("the scaling was ", before->scaling(), " and is ", after->scaling());
    return {};
  }

  /// Returns the names for messages: `"default", "french"`.
  [[nodiscard]] std::string quoted_names() const {
    std::string all;
    for (const Entry& entry : entries_) all += (all.empty() ? "" : ", ") + quoted(entry);
    return all;
  }

 private:
  struct Tie {
    std::string name, reason;
    bool always_active = false;
  };

  template <class Where>
  [[noreturn]] void refuse_untied(const char* what, const Where& where) const {
    throw StateError(
        message(where, ": the adapter \"", printable(tie_.name), "\"", what, ": ", tie_.reason));
  }

  static std::string quoted(const Entry& entry) { return "\"" + printable(entry.name) + "\""; }

  [[nodiscard]] auto position(std::string_view name) const {
    return std::find_if(entries_.begin(), entries_.end(),
                        [&](const Entry& entry) { return entry.name == name; });
  }

  template <class Where>
  [[nodiscard]] std::size_t place_of(std::string_view name, const Where& where) const {
    const auto found = position(name);
    if (found != entries_.end()) return static_cast<std::size_t>(found - entries_.begin());
    throw ConfigError(message(where, ": there is no adapter called \"", printable(name), "\"",
                              empty() ? "" : ", only ", quoted_names()));
  }

  std::vector<Entry> entries_;
  std::optional<std::size_t> active_;
  bool enabled_ = true;
  double layer_factor_ = 1;
  Tie tie_;  // without a name there is none
};

}  // namespace lora
