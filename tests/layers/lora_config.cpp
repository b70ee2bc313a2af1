#include <lora/layers/lora_config.hpp>

#include <cmath>
#include <limits>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("the scaling is alpha / rank, or alpha / sqrt(rank), alpha 2 rank by default") {
  CHECK(LoRAConfig{.rank = 8, .alpha = 16}.scaling() == 2);
  CHECK(LoRAConfig{.rank = 16, .alpha = 8, .use_rslora = true}.scaling() == 2);
  CHECK(LoRAConfig{.rank = 64}.alpha_or_default() == 128);
  CHECK(LoRAConfig{.rank = 64}.scaling() == 2);
  CHECK(LoRAConfig{.rank = 4, .alpha = -2}.scaling() == -0.5);
  CHECK(LoRAConfig{.rank = 4, .alpha = 0}.scaling() == 0);
}

TEST_CASE("settings out of range are refused by name") {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(validate({.rank = 0}, "here"), "here: rank is 0, expected at least 1");
  CHECK_THROWS_AS(validate({.rank = -3}, "here"), ConfigError);
  for (const double alpha : {nan, infinity, -infinity})
    CHECK_THROWS_AS(validate({.alpha = alpha}, "here"), ConfigError);
  for (const double dropout : {-0.1, 1.0, 1.5, nan, infinity})
    CHECK_THROWS_AS(validate({.dropout = dropout}, "here"), ConfigError);
  for (const double dropout : {0.0, 0.5, 0.999})
    CHECK_NOTHROW(validate({.dropout = dropout}, "here"));
  CHECK_NOTHROW(validate({.rank = 1000000}, "here"));
}
