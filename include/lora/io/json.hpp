#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/error.hpp"

namespace lora::io {

/// JSON whose objects are sorted by key: looking a key up is cheap in large objects too.
using Json = nlohmann::json;

/// Says how much of a JSON text that nobody has vouched for is accepted.
struct JsonLimits {
  std::size_t depth = 32;  ///< objects and arrays inside each other
};

/// Is told every key in the order of the text, with the depth of its object: 1 for the outermost.
using JsonKeyObserver = std::function<void(std::size_t depth, const std::string& key)>;

/// Parses `text` as one JSON value. Throws FileError, beginning with `where`, for what is not JSON
/// or not UTF-8, for a key that stands twice in an object, and beyond the limits.
[[nodiscard]] inline Json parse_json(std::string_view text, const std::string& where,
                                     const JsonLimits& limits = {},
                                     const JsonKeyObserver& on_key = {}) {
  using Event = Json::parse_event_t;
  std::vector<std::set<std::string>> open;  // the keys of each enclosing object; empty for arrays
  const auto check = [&](int, Event event, Json& parsed) {
    if (event == Event::object_start || event == Event::array_start) {
      if (open.size() == limits.depth)
        throw FileError(message(where, ": JSON nested deeper than ", limits.depth, " levels"));
      open.emplace_back();
    } else if (event == Event::object_end || event == Event::array_end) {
      open.pop_back();
    } else if (event == Event::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!open.back().insert(key).second)
        throw FileError(message(where, ": the key \"", key, "\" stands twice in one object"));
      if (on_key) on_key(open.size(), key);
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), check);
  } catch (const Json::exception& error) {
    // The message repeats the word at which reading ended, however long that is.
    constexpr std::size_t most = 300;
    std::string what = error.what();
    if (what.size() > most) what.replace(most, std::string::npos, " ...");
    throw FileError(message(where, ": not valid JSON: ", what));
  }
}

/// Says whether `value` is the string `text`. Use it instead of `==`: a string and a JSON value
/// compare by conversions only, which newer compilers refuse where the string stands on the left.
[[nodiscard]] inline bool is_text(const Json& value, std::string_view text) {
  const auto* string = value.get_ptr<const std::string*>();
  return string != nullptr && *string == text;
}

/// Returns the JSON text of a value for messages, cut short where it is long.
[[nodiscard]] inline std::string excerpt(const Json& value) {
  constexpr std::size_t most = 80;
  if (value.is_structured() && value.size() > most) return message(value.size(), " elements");
  std::string text = value.dump(-1, ' ', true);
  if (text.size() > most) text.replace(most, std::string::npos, " ...");
  return text;
}

/// Returns the JSON text of a string, quoted and escaped. Throws FileError, naming `where`, unless
/// it is UTF-8.
[[nodiscard]] inline std::string quoted(const std::string& text, const std::string& where) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    throw FileError(message(where, ": a name or a value is not UTF-8"));
  }
}

}  // namespace lora::io
