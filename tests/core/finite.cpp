#include <lora/core/finite.hpp>

#include <limits>

#include "support/catch.hpp"

using namespace lora;

TEMPLATE_TEST_CASE("finite numbers are told from others by their bits", "", float, double) {
  using Limits = std::numeric_limits<TestType>;
  for (const TestType value : {TestType(0), TestType(-1), Limits::max(), Limits::lowest(),
                               Limits::denorm_min(), Limits::min()})
    CHECK(is_finite(value));
  for (const TestType value :
       {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(), Limits::signaling_NaN()})
    CHECK(!is_finite(value));
  Matrix<TestType> m = Matrix<TestType>::Zero(3, 4);
  CHECK(all_finite<TestType>(m));
  m(2, 1) = Limits::quiet_NaN();
  CHECK(!all_finite<TestType>(m));
  CHECK(all_finite<TestType>(m.topRows(2)));
}
