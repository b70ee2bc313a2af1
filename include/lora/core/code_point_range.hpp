#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace lora {

/// Code points from first to last.
struct CodePointRange {
  char32_t first;
  char32_t last;
};

/// Returns the range that has `c`, or nullptr; `ranges`, each with a first and a last, are sorted.
template <class Range, std::size_t Size>
[[nodiscard]] const Range* find_range(const Range (&ranges)[Size], char32_t c) {
  const Range* after =
      std::upper_bound(std::begin(ranges), std::end(ranges), c,
                       [](char32_t value, const Range& range) { return value < range.first; });
  return after != std::begin(ranges) && c <= std::prev(after)->last ? std::prev(after) : nullptr;
}

}  // namespace lora
