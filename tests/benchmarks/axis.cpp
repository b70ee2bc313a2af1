#include "benchmarks/plot/axis.hpp"

#include <algorithm>
#include <lora/random/random.hpp>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::bench;

namespace {
void check_axis(const Axis& axis, double low, double high) {
  // Powers and logarithms round in the last digits.
  const double rounding = 1e-12 * std::max(std::abs(low), std::abs(high));
  CAPTURE(low, high, axis.low(), axis.high());
  CHECK(axis.low() <= low + rounding);
  CHECK(axis.high() >= high - rounding);
  REQUIRE(axis.ticks().size() >= 2);
  CHECK(axis.ticks().size() <= 31);
  CHECK(std::is_sorted(axis.ticks().begin(), axis.ticks().end()));
  CHECK(axis.position(axis.low()) == 0);
  CHECK(axis.position(axis.high()) == Approx(1));
  for (const double tick : axis.ticks()) {
    CHECK(axis.position(tick) >= 0);
    CHECK(axis.position(tick) <= 1 + 1e-12);
  }
}
}  // namespace

TEST_CASE("an axis covers its data and its ticks lie on it") {
  const Random random(7);
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const double low = std::pow(10.0, 24 * random.uniform(0, i) - 8);
    const double high = low * std::pow(10.0, 3 * random.uniform(1, i) + 0.01);
    check_axis(Axis::linear(low, high), low, high);
    check_axis(Axis::linear(0, high), 0, high);
    check_axis(Axis::decades(low, high), low, high);
    check_axis(Axis::powers_of_two(low, high), low, high);
  }
  check_axis(Axis::decades(1e-9, 1e18), 1e-9, 1e18);
}

TEST_CASE("ticks are the round numbers that a reader expects") {
  CHECK(Axis::powers_of_two(1, 8).ticks() == std::vector<double>{1, 2, 4, 8});
  CHECK(Axis::powers_of_two(3, 200).ticks() == std::vector<double>{2, 4, 8, 16, 32, 64, 128, 256});
  CHECK(Axis::linear(0, 98).ticks() == std::vector<double>{0, 20, 40, 60, 80, 100});
  CHECK(Axis::linear(0, 3.9).ticks() == std::vector<double>{0, 1, 2, 3, 4});
  CHECK(Axis::decades(30, 180).ticks() == std::vector<double>{20, 50, 100, 200});
}

TEST_CASE("one value alone has an axis too") {
  CHECK(Axis::powers_of_two(8, 8).position(8) == 0.5);
  CHECK(Axis::linear(5, 5).high() > 5);
  const Axis ten = Axis::decades(10, 10);
  CHECK(ten.low() <= 10);
  CHECK(ten.high() >= 10);
}

TEST_CASE("numbers are written short") {
  CHECK(short_number(0) == "0");
  CHECK(short_number(0.5) == "0.5");
  CHECK(short_number(82.34) == "82.3");
  CHECK(short_number(999.4) == "999");
  CHECK(short_number(999.6) == "1k");
  CHECK(short_number(2140) == "2.14k");
  CHECK(short_number(605000) == "605k");
  CHECK(short_number(3e9) == "3G");
}
