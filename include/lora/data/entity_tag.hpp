#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "lora/core/printable.hpp"
#include "lora/core/utf8.hpp"

namespace lora::data {

/// A tag of the schemes BIO and IO: outside of all entities, at the beginning of one, or in one.
struct EntityTag {
  char mark = 'O';             ///< 'O', 'B' or 'I'
  std::string_view type = {};  ///< views the tag's text; empty for O
};

/// Takes "O", "B-type" or "I-type" apart. Returns nothing for any other text, and for a type with a
/// space or an invisible character: it would look like another type and be none.
[[nodiscard]] inline std::optional<EntityTag> parse_entity_tag(std::string_view tag) {
  if (tag == "O") return EntityTag{};
  if (tag.size() < 3 || (tag[0] != 'B' && tag[0] != 'I') || tag[1] != '-') return std::nullopt;
  for (std::size_t at = 2; at < tag.size();) {
    const CodePoint read = code_point_at(tag, at);
    if (!read.well_formed || read.value == ' ' || is_invisible(read.value)) return std::nullopt;
    at += read.length;
  }
  return EntityTag{tag[0], tag.substr(2)};
}

}  // namespace lora::data
