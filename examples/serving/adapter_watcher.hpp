#pragma once

#include <exception>
#include <lora/peft/adapter_values.hpp>
#include <map>
#include <ostream>
#include <string>
#include <utility>

#include "adapter_folders.hpp"
#include "adapter_store.hpp"

namespace serving {

/// What keeps a store as the folders are. Calls come one after the other.
class AdapterWatcher {
 public:
  /// Loads all adapters. One of a named folder that cannot be loaded is thrown (what read_adapter
  /// and AdapterStore::put throw); one of a subfolder is reported. `store` and `report` outlive it.
  AdapterWatcher(AdapterFolders folders, AdapterStore& store, std::ostream& report)
      : folders_(std::move(folders)), store_(store), report_(report) {
    for (const auto& [name, folder] : folders_.named) {
      State& state = states_[name];
      state.seen = state.tried = stamp_of(folder);
      load(name, folder, state);
    }
    look(true, false);
  }

  /// Looks at the folders, adds, replaces and removes adapters, and reports each; one that cannot
  /// be loaded leaves what was there before. A change counts once two looks have found the same, so
  /// that nothing is read while it is being written.
  void look() { look(false, true); }

  /// Reads all folders again, whether they have changed or not.
  void reload() { look(true, true); }

 private:
  struct State {
    std::string seen = {};   // the folder's stamp at the last look
    std::string tried = {};  // and when it was read
    bool loaded = false;
  };

  void load(const std::string& name, const std::filesystem::path& folder, State& state) {
    auto values = lora::peft::read_adapter<float>(folder);
    const std::size_t modules = values.modules.size();
    const auto rank = values.config.r;
    store_.put(name, std::move(values));
    report_ << lora::message("adapter ", lora::in_quotes(name),
                             state.loaded ? " replaced" : " added", ": ", modules,
                             " modules, rank ", rank, "\n")
            << std::flush;
    state.loaded = true;
  }

  void look(bool at_once, bool named_too) {
    const auto now = folders_.list();
    for (const auto& [name, folder] : now) {
      if (!named_too && folders_.named.contains(name)) continue;
      State& state = states_[name];
      const std::string stamp = stamp_of(folder);
      const bool settled = stamp == state.seen;
      state.seen = stamp;
      if (!at_once && (stamp == state.tried || !settled)) continue;
      state.tried = stamp;
      try {
        load(name, folder, state);
      } catch (const std::exception& error) {
        report_ << lora::message("adapter ", lora::in_quotes(name), " not loaded",
                                 state.loaded ? ", the one before it stays: " : ": ", error.what(),
                                 "\n")
                << std::flush;
      }
    }
    for (auto each = states_.begin(); each != states_.end();) {
      if (now.contains(each->first)) {
        ++each;
        continue;
      }
      if (each->second.loaded)
        report_ << lora::message("adapter ", lora::in_quotes(each->first), " removed\n")
                << std::flush;
      store_.remove(each->first);
      each = states_.erase(each);
    }
  }

  AdapterFolders folders_;
  AdapterStore& store_;
  std::ostream& report_;
  std::map<std::string, State> states_;
};

}  // namespace serving
