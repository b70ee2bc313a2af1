#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/io/json_text.hpp"
#include "lora/io/json_value.hpp"

namespace lora::io {

/// Returns a value as the text that Python's json.dumps writes with indent=2 and sorted keys: in
/// ASCII, with NaN and Infinity, which JSON's own text makes null. `depth` steps of two spaces
/// stand before its lines but the first. Throws FileError, naming `where`, for a string that is not
/// UTF-8.
[[nodiscard]] inline std::string python_json_text(const Json& value, std::string_view where,
                                                  std::size_t depth = 0) {
  if (value.is_object()) {
    std::map<std::string, std::string> members;
    for (const auto& [key, member] : value.items())
      members[quoted(key, where, JsonEscapes::non_ascii)] =
          python_json_text(member, where, depth + 1);
    return json_object(members, depth);
  }
  if (value.is_array()) {
    std::vector<std::string> elements;
    elements.reserve(value.size());
    for (const Json& element : value)
      elements.push_back(python_json_text(element, where, depth + 1));
    return json_array(elements, depth);
  }
  if (value.is_string())
    return quoted(value.get_ref<const std::string&>(), where, JsonEscapes::non_ascii);
  if (value.is_number_float() && !is_finite(value.get<double>())) {
    // By their bits, which -ffast-math leaves alone.
    constexpr std::uint64_t infinity = 0x7FF0000000000000, minus = 0x8000000000000000;
    const auto bits = std::bit_cast<std::uint64_t>(value.get<double>());
    return bits == infinity ? "Infinity" : bits == (infinity | minus) ? "-Infinity" : "NaN";
  }
  return value.dump();
}

}  // namespace lora::io
