#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "lora/core/error.hpp"
#include "lora/io/json_text.hpp"

namespace lora::io {

/// JSON whose objects are sorted by key: looking a key up is cheap in large objects too.
using Json = nlohmann::json;

/// Says whether `value` is the string `text`. Use it instead of `==`: a string and a JSON value
/// compare by conversions only, which newer compilers refuse where the string stands on the left.
[[nodiscard]] inline bool is_text(const Json& value, std::string_view text) {
  const auto* string = value.get_ptr<const std::string*>();
  return string != nullptr && *string == text;
}

/// Returns the JSON text of a value for messages, in ASCII and cut short where it is long.
[[nodiscard]] inline std::string excerpt(const Json& value) {
  constexpr std::size_t most = 80;
  if (value.is_structured() && value.size() > most) return message(value.size(), " elements");
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  // JSON has no word for what Python reads as one.
  if (value.is_number_float() && text == "null") text = message(value.get<double>());
  if (text.size() > most) text.replace(most, std::string::npos, " ...");
  return text;
}

}  // namespace lora::io
