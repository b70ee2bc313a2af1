#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/utf8.hpp"

/// JSON as text, for files that are written: no values in between, and no parser to include.
namespace lora::io {

/// Says which characters of a string are written as escapes.
enum class JsonEscapes {
  controls,   ///< control characters, quotes and backslashes, as JSON asks for
  non_ascii,  ///< those and all beyond ASCII, as Python's json.dumps does
};

/// Returns `text` as a JSON string, quoted and escaped. Throws FileError, naming `where`, unless it
/// is UTF-8.
[[nodiscard]] inline std::string quoted(std::string_view text, std::string_view where,
                                        JsonEscapes escapes = JsonEscapes::controls) {
  static constexpr std::string_view short_escapes = "\"\"\\\\\bb\ff\nn\rr\tt";
  std::string out = "\"";
  const auto escape = [&out](std::uint32_t unit) {
    std::array<char, 7> digits;
    std::snprintf(digits.data(), digits.size(), "\\u%04x", static_cast<unsigned>(unit & 0xFFFF));
    out += digits.data();
  };
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint character = code_point_at(text, at);
    if (!character.well_formed) throw FileError(message(where, ": a name or a value is not UTF-8"));
    const auto value = static_cast<std::uint32_t>(character.value);
    std::size_t known = short_escapes.size();
    for (std::size_t i = 0; value < 0x80 && i < short_escapes.size(); i += 2)
      if (static_cast<char>(value) == short_escapes[i]) known = i;
    if (known < short_escapes.size()) {
      out += '\\';
      out += short_escapes[known + 1];
    } else if (value >= 0x10000 && escapes == JsonEscapes::non_ascii) {
      escape(0xD7C0 + (value >> 10));  // the two halves of UTF-16
      escape(0xDC00 + (value & 0x3FF));
    } else if (value < 0x20 || (value >= 0x7F && escapes == JsonEscapes::non_ascii)) {
      escape(value);
    } else {
      out += text.substr(at, character.length);
    }
    at += character.length;
  }
  return out + '"';
}

/// Returns a finite number as JSON, in the fewest digits that read back as it; a whole number below
/// 2^53 without a fraction, as PEFT writes alphas. Other numbers are null.
[[nodiscard]] inline std::string json_number(double number) {
  if (!(std::abs(number) <= 1.7976931348623157e308)) return "null";
  std::array<char, 32> digits;
  const bool whole = std::abs(number) < 0x1p53 && std::trunc(number) == number;
  const auto end = whole ? std::to_chars(digits.data(), digits.data() + digits.size(),
                                         static_cast<std::int64_t>(number))
                         : std::to_chars(digits.data(), digits.data() + digits.size(), number);
  return {digits.data(), end.ptr};
}

/// Returns a finite number as JSON that reads back as a float even where it is whole: "0.0".
[[nodiscard]] inline std::string json_float(double number) {
  const std::string text = json_number(number);
  return text.find_first_not_of("-0123456789") == std::string::npos ? text + ".0" : text;
}

/// Returns JSON texts as one array, an element a line, `depth` steps of two spaces inside.
[[nodiscard]] inline std::string json_array(const std::vector<std::string>& elements,
                                            std::size_t depth = 0) {
  if (elements.empty()) return "[]";
  std::string out = "[";
  for (const std::string& element : elements) {
    if (out.size() > 1) out += ',';
    out.append("\n").append(2 * (depth + 1), ' ').append(element);
  }
  return out.append("\n").append(2 * depth, ' ').append("]");
}

/// Returns JSON texts under their keys, which are JSON strings, as one object, a key a line.
[[nodiscard]] inline std::string json_object(const std::map<std::string, std::string>& members,
                                             std::size_t depth = 0) {
  if (members.empty()) return "{}";
  std::string out = "{";
  for (const auto& [key, value] : members) {
    if (out.size() > 1) out += ',';
    out.append("\n").append(2 * (depth + 1), ' ').append(key).append(": ").append(value);
  }
  return out.append("\n").append(2 * depth, ' ').append("}");
}

}  // namespace lora::io
