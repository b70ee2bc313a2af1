#include <lora/core/utf8.hpp>

#include <vector>

#include "support/catch.hpp"

using lora::code_point_at;

TEST_CASE("a code point comes with its length") {
  const std::string_view text = "aé北😀";
  CHECK(code_point_at(text, 0).value == U'a');
  CHECK(code_point_at(text, 1).value == U'é');
  CHECK(code_point_at(text, 3).value == U'北');
  CHECK(code_point_at(text, 6).value == U'😀');
  CHECK(code_point_at(text, 6).length == 4);
  CHECK(code_point_at(text, 6).well_formed);
}

TEST_CASE("U+FFFD itself is well formed, and what it replaces is not") {
  CHECK(code_point_at("\uFFFD", 0).well_formed);
  for (const std::string_view text :
       {"\x80", "\xC0\xAF", "\xE2\x82", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF"}) {
    const lora::CodePoint read = code_point_at(text, 0);
    CHECK_FALSE(read.well_formed);
    CHECK(read.value == lora::replacement_character);
    CHECK(read.length <= text.size());
  }
  CHECK(code_point_at("\xE2\x82(", 0).length == 2);
}
