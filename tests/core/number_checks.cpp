#include <lora/core/number_checks.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("numbers are checked, NaN and infinities too, and the message says what came") {
  for (const double bad : {infinity, -infinity, not_a_number}) {
    CHECK_THROWS_AS(require_finite(bad, "f", "x"), ConfigError);
    CHECK_THROWS_AS(require_non_negative(bad, "f", "x"), ConfigError);
    CHECK_THROWS_AS(require_below_one(bad, "f", "x"), ConfigError);
  }
  for (const double good : {0.0, 0.5, 1.0, -1.0, 1e300})
    CHECK_NOTHROW(require_finite(good, "f", "x"));
  for (const double good : {0.0, 0.5, 1.0, 1e300})
    CHECK_NOTHROW(require_non_negative(good, "f", "x"));
  for (const double good : {0.0, 0.5, 0.999}) CHECK_NOTHROW(require_below_one(good, "f", "x"));
  check_throws<ConfigError>([] { require_non_negative(-2, "f", "x"); },
                            "f: x is -2, expected a finite number of at least 0");
  check_throws<ConfigError>([] { require_below_one(1, "f", "p"); },
                            "f: p is 1, expected 0 <= p < 1");
  CHECK_THROWS_AS(require_below_one(-0.1, "f", "p"), ConfigError);
}
