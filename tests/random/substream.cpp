#include <lora/random/substream.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("a name's substream is its FNV-1a hash of 64 bits") {
  // The values of draft-eastlake-fnv, section "Test vectors".
  STATIC_REQUIRE(substream_of("") == 0xCBF29CE484222325);
  STATIC_REQUIRE(substream_of("a") == 0xAF63DC4C8601EC8C);
  STATIC_REQUIRE(substream_of("foobar") == 0x85944171F73967E8);
  STATIC_REQUIRE(substream_of("gr\xC3\xB6\xC3\x9F") != substream_of("gro"));
}
