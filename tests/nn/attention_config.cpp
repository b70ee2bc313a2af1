#include <lora/nn/attention_config.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("an attention's settings fall back on heads and 1 / sqrt(D)") {
  const AttentionConfig config{.heads = 6, .head_features = 16};
  CHECK(config.key_heads() == 6);
  CHECK(config.scale() == 0.25);
  const AttentionConfig other{.heads = 6, .head_features = 16, .kv_heads = 2, .scaling = 3};
  CHECK(other.key_heads() == 2);
  CHECK(other.scale() == 3);
}

TEST_CASE("an attention's settings are refused out of range") {
  const auto refused = [](const AttentionConfig& config, const char* part) {
    check_throws<ConfigError>([&] { validate(config, "Attention"); }, part);
  };
  refused({.heads = 0}, "heads = 0");
  refused({.heads = 6, .kv_heads = 4}, "kv_heads = 4");
  refused({.head_features = 0}, "head_features = 0");
  refused({.causal = true, .window = 0}, "window is 0, expected at least 1");
  refused({.window = 4}, "window is 4, expected none where attention is not causal");
  refused({.dropout = 1}, "dropout");
  refused({.scaling = std::numeric_limits<double>::infinity()}, "scaling");
  CHECK_NOTHROW(validate(AttentionConfig{.causal = true, .window = 1}, "Attention"));
}
