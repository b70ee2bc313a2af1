#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/error.hpp"

namespace lora::io {

/// JSON whose objects keep the order of the file.
using OrderedJson = nlohmann::ordered_json;

/// JSON whose objects are sorted by key; looking a key up is cheap in large objects too.
using SortedJson = nlohmann::json;

/// Says how much of a JSON text nobody has vouched for is accepted.
struct JsonLimits {
  std::size_t depth = 32;        ///< objects and arrays inside each other
  std::size_t keys = 1'000'000;  ///< keys of one object
};

/// Parses `text` as one JSON value. Throws FileError, beginning with `where`, for what is not JSON
/// or not UTF-8, for a key that stands twice in an object, and beyond the limits.
template <class Json>
[[nodiscard]] Json parse_json(std::string_view text, const std::string& where,
                              const JsonLimits& limits = {}) {
  using Event = typename Json::parse_event_t;
  std::vector<std::set<std::string>> open;  // the keys of each enclosing object; empty for arrays
  const auto check = [&](int, Event event, Json& parsed) {
    if (event == Event::object_start || event == Event::array_start) {
      if (open.size() == limits.depth)
        throw FileError(message(where, ": JSON nested deeper than ", limits.depth, " levels"));
      open.emplace_back();
    } else if (event == Event::object_end || event == Event::array_end) {
      open.pop_back();
    } else if (event == Event::key) {
      auto& keys = open.back();
      const auto& key = parsed.template get_ref<const std::string&>();
      if (keys.size() == limits.keys)
        throw FileError(message(where, ": a JSON object has more than ", limits.keys, " keys"));
      if (!keys.insert(key).second)
        throw FileError(message(where, ": the key \"", key, "\" stands twice in one object"));
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), check);
  } catch (const typename Json::exception& error) {
    throw FileError(message(where, ": not valid JSON: ", error.what()));
  }
}

/// Returns the JSON text of a string, quoted and escaped. Throws FileError, naming `where`, unless
/// it is UTF-8.
[[nodiscard]] inline std::string quoted(const std::string& text, const std::string& where) {
  try {
    return SortedJson(text).dump();
  } catch (const SortedJson::exception&) {
    throw FileError(message(where, ": a name or a value is not UTF-8"));
  }
}

}  // namespace lora::io
