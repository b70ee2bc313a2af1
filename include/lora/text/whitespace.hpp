#pragma once

#include <cstddef>
#include <string_view>

#include "lora/text/character_class.hpp"
#include "lora/text/utf8.hpp"

namespace lora::text {

/// Returns a text of UTF-8 without the white space, of any script's, at its end.
[[nodiscard]] inline std::string_view without_trailing_whitespace(std::string_view text) {
  while (!text.empty()) {
    std::size_t last = text.size() - 1;
    while (last > 0 && (static_cast<unsigned char>(text[last]) & 0xC0U) == 0x80) --last;
    if (!is_whitespace(character_at(text, last).value)) break;
    text = text.substr(0, last);
  }
  return text;
}

}  // namespace lora::text
