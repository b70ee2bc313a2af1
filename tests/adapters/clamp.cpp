#include <lora/adapters/clamp.hpp>

#include "support/golden.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("factors are clamped to the quantile of both together, as PEFT does it") {
  const Golden<double> golden("combine_f64");
  FactorPair<double> factors{golden["unclamped.a"], golden["unclamped.b"]};
  clamp_to_quantile(factors, 0.9);
  CHECK(largest_difference(factors.a, golden["clamped.a"]) < 1e-13);
  CHECK(largest_difference(factors.b, golden["clamped.b"]) < 1e-13);
}

TEST_CASE("a quantile that is out of range, or of a negative number, is refused") {
  FactorPair<float> factors{Matrix<float>::Constant(1, 3, -2), Matrix<float>::Constant(2, 1, 1)};
  check_throws<ConfigError>([&] { clamp_to_quantile(factors, 0.5); },
                            "the quantile 0.5 of the factors is -2");
  check_throws<ConfigError>([&] { clamp_to_quantile(factors, 0); }, "quantile is 0");
  CHECK(factors.a(0, 0) == -2);
  clamp_to_quantile(factors, 1);
  CHECK(factors.a(0, 0) == -1);
  CHECK(factors.b(1, 0) == 1);
}
