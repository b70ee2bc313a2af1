#pragma once

#include <optional>
#include <string_view>

namespace lora::data {

/// A tag of the schemes BIO and IO: outside of all entities, at the beginning of one, or in one.
struct EntityTag {
  char mark = 'O';             ///< 'O', 'B' or 'I'
  std::string_view type = {};  ///< views the tag's text; empty for O
};

/// Takes "O", "B-type" or "I-type" apart; nothing for what is none of them.
[[nodiscard]] inline std::optional<EntityTag> parse_entity_tag(std::string_view tag) {
  if (tag == "O") return EntityTag{};
  if (tag.size() < 3 || (tag[0] != 'B' && tag[0] != 'I') || tag[1] != '-') return std::nullopt;
  return EntityTag{tag[0], tag.substr(2)};
}

}  // namespace lora::data
