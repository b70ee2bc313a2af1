#include <lora/text/fallback_token.hpp>

#include "support/catch.hpp"

using namespace lora::text;

TEST_CASE("bytes and their tokens stand for each other") {
  CHECK(fallback_token(0x0A) == "<0x0A>");
  for (int byte = 0; byte < 256; ++byte)
    CHECK(byte_of_fallback_token(fallback_token(static_cast<unsigned char>(byte))) == byte);
  for (const char* other : {"<0x0a>", "<0xG0>", "<0x00", "a", "", "<0x000>", "0x0000"})
    CHECK(!byte_of_fallback_token(other));
}
