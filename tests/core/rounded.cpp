#include <lora/core/rounded.hpp>

#include "support/catch.hpp"

TEST_CASE("a product that is rounded is not joined to the sum after it") {
  // (1 + e)^2 = 1 + 2 e + e^2, whose last term a float of that size does not hold.
  volatile float one_and_some = 1 + 0x1p-12F;
  const float product = one_and_some * one_and_some;
  volatile float stored = product;
  CHECK(lora::rounded(one_and_some * one_and_some) - stored == 0);
}
