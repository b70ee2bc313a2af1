#include <lora/text/truncation.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "support/catch.hpp"

using namespace lora::text;

TEST_CASE("the longer text is truncated first") {
  using Lengths = std::pair<std::size_t, std::size_t>;
  CHECK(truncate_longest_first(3, 4, 7) == Lengths{3, 4});
  CHECK(truncate_longest_first(3, 9, 8) == Lengths{3, 5});
  CHECK(truncate_longest_first(9, 3, 8) == Lengths{5, 3});
  CHECK(truncate_longest_first(6, 9, 7) == Lengths{3, 4});
  CHECK(truncate_longest_first(9, 6, 7) == Lengths{4, 3});
  CHECK(truncate_longest_first(9, 9, 0) == Lengths{0, 0});
  for (std::size_t a = 0; a < 12; ++a)
    for (std::size_t b = 0; b < 12; ++b)
      for (std::size_t room = 0; room < 26; ++room) {
        const auto [first, second] = truncate_longest_first(a, b, room);
        CAPTURE(a, b, room);
        CHECK(first <= a);
        CHECK(second <= b);
        CHECK(first + second == std::min(a + b, room));
      }
}
