#include <lora/core/code_point_range.hpp>

#include "support/catch.hpp"

using lora::CodePointRange;

TEST_CASE("a code point is found in the range that has it") {
  constexpr CodePointRange ranges[] = {{U'a', U'c'}, {U'x', U'x'}, {0x400, 0x4FF}};
  CHECK(lora::find_range(ranges, U'a') == &ranges[0]);
  CHECK(lora::find_range(ranges, U'c') == &ranges[0]);
  CHECK(lora::find_range(ranges, U'x') == &ranges[1]);
  CHECK(lora::find_range(ranges, char32_t{0x4FF}) == &ranges[2]);
  for (const char32_t c : {U'A', U'd', U'w', U'y', char32_t{0x500}, char32_t{0}})
    CHECK(lora::find_range(ranges, c) == nullptr);
}
