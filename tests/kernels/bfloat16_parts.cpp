#include <lora/kernels/bfloat16_parts.hpp>

#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using kernels::BFloat16Parts;
using kernels::float_of_bfloat16;

TEST_CASE("two bfloat16 hold a float to 2^-17, the first of them the nearest") {
  const Matrix<float> numbers = test::random_matrix<float>(100, 100, 1);
  double worst = 0;
  bool nearest = true;
  for (Index i = 0; i < numbers.size(); ++i) {
    const float value = std::ldexp(numbers.data()[i], static_cast<int>(i % 200) - 100);
    const BFloat16Parts parts = BFloat16Parts::of(value);
    const double sum = static_cast<double>(float_of_bfloat16(parts.high)) +
                       static_cast<double>(float_of_bfloat16(parts.low));
    worst = std::max(
        worst, std::abs(sum - static_cast<double>(value)) / std::abs(static_cast<double>(value)));
    nearest = nearest && parts.high == kernels::bfloat16_of_float(value);
  }
  CHECK(worst <= 0x1p-17);
  CHECK(worst > 0x1p-18);
  CHECK(nearest);
}

TEST_CASE("a finite number has finite parts, infinity and NaN stay what they are") {
  using Limits = std::numeric_limits<float>;
  for (const float value : {Limits::max(), -Limits::max()}) {
    const BFloat16Parts parts = BFloat16Parts::of(value);
    CHECK(std::abs(float_of_bfloat16(parts.high)) == float_of_bfloat16(0x7F7F));
    CHECK(static_cast<double>(float_of_bfloat16(parts.high)) +
              static_cast<double>(float_of_bfloat16(parts.low)) ==
          Approx(static_cast<double>(value)).epsilon(0x1p-16));
  }
  CHECK(BFloat16Parts::of(Limits::infinity()).high == 0x7F80);
  CHECK(BFloat16Parts::of(-Limits::infinity()).high == 0xFF80);
  CHECK(BFloat16Parts::of(Limits::infinity()).low == 0);
  CHECK(std::isnan(float_of_bfloat16(BFloat16Parts::of(Limits::quiet_NaN()).high)));
  CHECK(std::isnan(float_of_bfloat16(BFloat16Parts::of(std::bit_cast<float>(0x7F800001U)).high)));
  CHECK(BFloat16Parts::of(0).high == 0);
  CHECK(BFloat16Parts::of(-0.0F).high == 0x8000);
}
