#include <lora/io/gguf/gguf_value.hpp>

#include "support/catch.hpp"

using namespace lora::io;

TEST_CASE("value types have GGUF's numbers") {
  CHECK(static_cast<int>(GgufValueType::text) == 8);
  CHECK(static_cast<int>(GgufValueType::array) == 9);
  CHECK(static_cast<int>(GgufValueType::f64) == 12);
  CHECK(GgufList().texts.empty());
}
