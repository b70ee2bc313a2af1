#pragma once

#include <filesystem>
#include <lora/core/error.hpp>
#include <lora/core/printable.hpp>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace serving {

/// Where the adapters are: folders that have names, and a folder whose subfolders are adapters.
struct AdapterFolders {
  std::map<std::string, std::filesystem::path> named = {};
  std::filesystem::path parent = {};  ///< empty: none

  /// Takes "name=folder" each. Throws ConfigError for what is not that, and for a name that comes
  /// twice.
  AdapterFolders(const std::vector<std::string>& adapters, std::filesystem::path adapters_dir)
      : parent(std::move(adapters_dir)) {
    for (const std::string& each : adapters) {
      const auto at = each.find('=');
      if (at == std::string::npos || at == 0 || at + 1 == each.size())
        throw lora::ConfigError("--adapter is " + lora::in_quotes(each) + ", expected name=folder");
      const std::string name = each.substr(0, at);
      if (!named.emplace(name, each.substr(at + 1)).second)
        throw lora::ConfigError("--adapter: two are called " + lora::in_quotes(name));
    }
    if (!parent.empty() && !std::filesystem::is_directory(parent))
      throw lora::ConfigError("--adapters-dir: " + lora::printable(parent.string()) +
                              " is no folder");
  }

  /// Lists the folders by the adapters' names: all that have names, and the subfolders with an
  /// adapter_config.json as they are now. A named folder goes before a subfolder of its name.
  [[nodiscard]] std::map<std::string, std::filesystem::path> list() const {
    auto all = named;
    std::error_code ignored;
    if (!parent.empty())
      for (const auto& entry : std::filesystem::directory_iterator(parent, ignored))
        if (std::filesystem::exists(entry.path() / "adapter_config.json", ignored))
          all.emplace(entry.path().filename().string(), entry.path());
    return all;
  }
};

/// Returns what tells a folder's state from another: its files' names, sizes and times, behind
/// links. Empty where there are none.
[[nodiscard]] inline std::string stamp_of(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const auto size = std::filesystem::file_size(entry.path(), ignored);
    if (ignored) continue;
    const auto time = std::filesystem::last_write_time(entry.path(), ignored);
    files.insert(lora::message(entry.path().filename().string(), ' ', size, ' ',
                               static_cast<long long>(time.time_since_epoch().count()), '\n'));
  }
  std::string stamp;
  for (const std::string& file : files) stamp += file;
  return stamp;
}

}  // namespace serving
