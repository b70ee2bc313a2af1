#include <lora/text/span.hpp>

#include "support/catch.hpp"

using namespace lora::text;

TEST_CASE("spans are equal if they begin and end at the same bytes") {
  CHECK(Span{} == Span{0, 0});
  CHECK(Span{1, 3} == Span{1, 3});
  CHECK_FALSE(Span{1, 3} == Span{1, 4});
  CHECK_FALSE(Span{1, 3} == Span{0, 3});
}
