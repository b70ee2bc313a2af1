#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lora/text/utf8.hpp"

namespace lora::text {

/// How a tokenizer keeps spaces, in the words of tokenizer.json.
enum class SpaceMark {
  none,              ///< as bytes: byte-level BPE
  prepended,         ///< Prepend and Replace: a space is "▁", and one comes before every piece
  metaspace_always,  ///< Metaspace: the same, but before a piece that begins with a space
  metaspace_first,   ///< the same, before a text alone
  metaspace_never    ///< none before anything
};

/// How a tokenizer deals with spaces on the way in and out.
struct Spaces {
  SpaceMark mark = SpaceMark::none;
  bool strip = false;  ///< decoding leaves out a space at the very beginning
};

/// U+2581, which stands for a space.
inline constexpr char32_t space_mark = 0x2581;

/// Returns a piece between added tokens with its spaces marked; `first` tells whether it begins the
/// text. An empty one stays empty.
[[nodiscard]] inline std::vector<Character> marked(std::span<const Character> piece, SpaceMark how,
                                                   bool first) {
  std::vector<Character> out;
  if (piece.empty()) return out;
  const char32_t c = piece.front().value;
  const bool begins_marked = c == ' ' || c == space_mark;
  const bool prepends = how == SpaceMark::prepended ||
                        (!begins_marked && (how == SpaceMark::metaspace_always ||
                                            (how == SpaceMark::metaspace_first && first)));
  out.reserve(piece.size() + 1);
  if (prepends) out.push_back({space_mark, piece.front().origin});
  for (const Character& character : piece)
    out.push_back({character.value == ' ' ? space_mark : character.value, character.origin});
  return out;
}

/// Returns a token with "▁" as spaces.
[[nodiscard]] inline std::string unmarked(std::string_view token) {
  constexpr std::string_view mark = "\xE2\x96\x81";
  std::string text;
  for (std::size_t at = 0; at < token.size();) {
    const std::size_t found = std::min(token.find(mark, at), token.size());
    text += token.substr(at, found - at);
    if (found < token.size()) text += ' ';
    at = found == token.size() ? found : found + mark.size();
  }
  return text;
}

}  // namespace lora::text
