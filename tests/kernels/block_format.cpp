#include <lora/kernels/block_format.hpp>

#include "support/catch.hpp"

using lora::kernels::BlockFormat;

TEST_CASE("block formats have ggml's type numbers") {
  CHECK(static_cast<int>(BlockFormat::F32) == 0);
  CHECK(static_cast<int>(BlockFormat::F16) == 1);
  CHECK(static_cast<int>(BlockFormat::Q4_0) == 2);
  CHECK(static_cast<int>(BlockFormat::Q8_0) == 8);
  CHECK(static_cast<int>(BlockFormat::Q6_K) == 14);
  CHECK(static_cast<int>(BlockFormat::BF16) == 30);
}
