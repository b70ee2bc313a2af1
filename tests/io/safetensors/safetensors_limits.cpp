#include <lora/io/safetensors/safetensors_limits.hpp>

#include "support/catch.hpp"

TEST_CASE("headers of safetensors files are read up to the reference implementation's limit") {
  CHECK(lora::io::safetensors_header_limit == 100'000'000);
}
