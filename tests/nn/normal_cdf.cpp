#include <lora/nn/normal_cdf.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/catch.hpp"

using namespace lora;

namespace {

template <class T>
struct Values {
  T cdf, density;
};

template <class T>
Values<T> at(T x) {
  Values<T> values{};
  packets::transform(
      1, &values.cdf, [](const Packet<T>& v) { return normal_cdf<T>(v).cdf; }, &x);
  packets::transform(
      1, &values.density, [](const Packet<T>& v) { return normal_cdf<T>(v).density; }, &x);
  return values;
}

double true_cdf(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }
double true_density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0)); }

}  // namespace

TEST_CASE("normal_cdf in float is within 2e-7 of erf, and of it relative in the lower tail") {
  double worst = 0, worst_tail = 0, worst_density = 0;
  for (int i = -26000; i <= 26000; ++i) {
    const float x = static_cast<float>(i) * 5e-4F;
    const auto [cdf, density] = at(x);
    const double expected = true_cdf(x);
    worst = std::max(worst, std::abs(cdf - expected));
    worst_tail = std::max(worst_tail, std::abs(cdf / expected - 1));
    worst_density = std::max(worst_density, std::abs(density / true_density(x) - 1));
  }
  CHECK(worst < 2e-7);
  // x^2 / 2 is rounded before it is exponentiated: x^2 / 2 times half an epsilon.
  CHECK(worst_tail < 13 * 13 / 2.0 * 0x1p-24 + 4e-7);
  CHECK(worst_density < 13 * 13 / 2.0 * 0x1p-24 + 4e-7);
}

TEST_CASE("normal_cdf in double is erfc's") {
  for (const double x : {-30.0, -3.0, -0.1, 0.0, 1e-9, 0.7, 5.0, 20.0}) {
    const auto [cdf, density] = at(x);
    CHECK(cdf == Approx(true_cdf(x)).epsilon(1e-14).margin(0));
    CHECK(density == Approx(true_density(x)).epsilon(1e-13).margin(0));
  }
}

TEMPLATE_TEST_CASE("normal_cdf at its ends", "", float, double) {
  using T = TestType;
  const T infinity = std::numeric_limits<T>::infinity();
  CHECK(at(infinity).cdf == 1);
  CHECK(at(-infinity).cdf == 0);
  CHECK(at(infinity).density == 0);
  CHECK(at(std::numeric_limits<T>::max()).cdf == 1);
  CHECK(at(std::numeric_limits<T>::lowest()).cdf == 0);
  CHECK(std::isnan(at(std::numeric_limits<T>::quiet_NaN()).cdf));
}
