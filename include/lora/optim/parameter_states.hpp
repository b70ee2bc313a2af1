#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/parameter.hpp"

namespace lora {

/// What an optimizer remembers of each parameter, an `Entry` each, found by the parameter's
/// identity: parameters of one name never share an entry, and a parameter that was replaced leaves
/// none to its successor. Names only serve files: what is restored waits under its name for the
/// first parameter that has it.
template <class Entry>
class ParameterStates {
 public:
  /// Returns what is remembered of `parameter`, or what waits under its name, or, where there is
  /// neither, what `make()` returns.
  template <class T, class Make>
  [[nodiscard]] Entry& of(const Parameter<T>& parameter, const Make& make) {
    const void* const key = parameter.identity().key();
    if (const auto found = known_.find(key); found != known_.end()) {
      if (found->second.name != parameter.name) found->second.name = parameter.name;
      return found->second.entry;
    }
    // Nobody will ask again for what is gone: adapters come and go while the optimizer stays.
    std::erase_if(known_, [](const auto& each) { return each.second.identity.expired(); });
    const auto waiting = restored_.find(parameter.name);
    Known known{parameter.identity().remember(), parameter.name,
                waiting == restored_.end() ? make() : waiting->second};
    Entry& entry = known_.emplace(key, std::move(known)).first->second.entry;
    if (waiting != restored_.end()) restored_.erase(waiting);
    return entry;
  }

  /// Returns what `of` would find, known or waiting, or null, and changes nothing.
  template <class T>
  [[nodiscard]] const Entry* find(const Parameter<T>& parameter) const {
    if (const auto found = known_.find(parameter.identity().key()); found != known_.end())
      return &found->second.entry;
    const auto waiting = restored_.find(parameter.name);
    return waiting == restored_.end() ? nullptr : &waiting->second;
  }

  /// Tells whether `of` has seen the parameter.
  template <class T>
  [[nodiscard]] bool knows(const Parameter<T>& parameter) const {
    return known_.contains(parameter.identity().key());
  }

  /// Calls use(name, entry) for everything that is remembered, in the order of names. Throws
  /// ConfigError, naming `where`, if two parameters share a name.
  template <class Use>
  void for_each(std::string_view where, const Use& use) const {
    std::map<std::string_view, const Entry*> by_name;
    for (const auto& [name, entry] : restored_) by_name.emplace(name, &entry);
    for (const auto& [key, known] : known_)
      if (!known.identity.expired() && !by_name.emplace(known.name, &known.entry).second)
        throw ConfigError(
            message(where, ": two parameters are called \"", known.name,
                    "\": give their layers names of their own with set_name, and two adapters "
                    "of one layer an optimizer each"));
    for (const auto& [name, entry] : by_name) use(std::string(name), *entry);
  }

  /// Returns the number of entries, those of parameters that are gone and not yet forgotten too.
  [[nodiscard]] std::size_t size() const { return known_.size() + restored_.size(); }

  /// Forgets everything and lets `entries` wait under their names.
  void restore(std::map<std::string, Entry> entries) {
    known_.clear();
    restored_ = std::move(entries);
  }

 private:
  struct Known {
    std::weak_ptr<const void> identity;  // also keeps the key from being another parameter's
    std::string name;
    Entry entry;
  };

  std::map<const void*, Known> known_;
  std::map<std::string, Entry> restored_;
};

}  // namespace lora
