#include <lora/init/split_start.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a start's factors are taken out of the weight") {
  const Matrix<float> w = random_matrix<float>(4, 6, 1);
  SplitStart<float> start;
  start.a = random_matrix<float>(2, 6, 2);
  start.b = random_matrix<float>(4, 2, 3);
  detail::split_base<float>(w, 0.5, start, "test");
  CHECK(largest_difference(start.base, (w - 0.5F * start.b * start.a).eval()) < 1e-6);
  start.a *= 1e30F;
  check_throws<ConfigError>([&] { detail::split_base<float>(w, 1e30, start, "test"); },
                            "test: scaling is 1e+30, under which W - s B A is not finite");
}
