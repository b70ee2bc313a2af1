#pragma once

#include <string>
#include <string_view>

#include "lora/io/json_builder.hpp"
#include "lora/io/json_value.hpp"

namespace lora::io {

/// Parses `text` as one JSON value, in time proportional to its length. Throws FileError, beginning
/// with `where`, for what is not JSON or not UTF-8, for a byte order mark, for a key that stands
/// twice in an object unless the rules allow it, and beyond their depth.
[[nodiscard]] inline Json parse_json(std::string_view text, const std::string& where,
                                     const JsonRules& rules = {},
                                     const JsonKeyObserver& on_key = {}) {
  if (text.starts_with("\xEF\xBB\xBF"))
    throw FileError(where +
                    ": begins with a byte order mark, which Python refuses too: save it as "
                    "UTF-8 without one");
  const bool respelled = rules.not_finite && (text.find("NaN") != std::string_view::npos ||
                                              text.find("Infinity") != std::string_view::npos);
  const std::string spelled = respelled ? detail::with_finite_spellings(text) : "";
  if (respelled) text = spelled;
  JsonRules parsed = rules;
  parsed.not_finite = respelled;
  detail::JsonBuilder builder(where, parsed, on_key);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

}  // namespace lora::io
