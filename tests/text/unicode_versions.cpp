#include <lora/text/unicode_versions.hpp>

#include <cstddef>

#include "support/catch.hpp"

using namespace lora::text;

namespace {

template <class Range, std::size_t Size>
void check_sorted(const Range (&ranges)[Size]) {
  for (std::size_t i = 0; i < Size; ++i) {
    CAPTURE(i);
    CHECK(ranges[i].first <= ranges[i].last);
    if (i > 0) CHECK(ranges[i - 1].last < ranges[i].first);
  }
}

template <class Range, std::size_t Size>
void check_found(const Range (&ranges)[Size]) {
  for (const Range& range : ranges) {
    CHECK(find_range(ranges, range.first) == &range);
    CHECK(find_range(ranges, range.last) == &range);
  }
}

}  // namespace

TEST_CASE("the tables are sorted, and no two ranges overlap") {
  check_sorted(newer_categories);
  check_sorted(newer_normalization);
  check_sorted(newer_words);
  check_sorted(newer_lowercase);
}

TEST_CASE("a range is found from its first to its last code point") {
  check_found(newer_categories);
  check_found(newer_normalization);
  check_found(newer_words);
  check_found(newer_lowercase);
  constexpr CodePointRange ranges[] = {{5, 6}, {9, 9}};
  for (const char32_t c : {0U, 4U, 7U, 8U, 10U, 0x10FFFFU}) CHECK(find_range(ranges, c) == nullptr);
}
