#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

namespace lora::text {

/// Returns how many tokens of two texts, of `first` and `second` tokens, stay when there is room
/// for `room`. Only the longer text is cut where that is enough; otherwise each has half of the
/// room, and the longer text the odd token. This is the strategy longest_first of Hugging Face's
/// tokenizers. For one text, `second` is 0.
[[nodiscard]] inline std::pair<std::size_t, std::size_t> truncate_longest_first(std::size_t first,
                                                                                std::size_t second,
                                                                                std::size_t room) {
  if (second <= room && first <= room - second) return {first, second};
  std::size_t shorter = std::min(first, second);
  std::size_t longer = shorter > room ? shorter : std::max(shorter, room - shorter);
  if (longer > room || shorter > room - longer) {
    shorter = room / 2;
    longer = shorter + room % 2;
  }
  return first > second ? std::pair{longer, shorter} : std::pair{shorter, longer};
}

}  // namespace lora::text
