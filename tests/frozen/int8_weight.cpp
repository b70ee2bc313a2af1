#include <lora/frozen/int8_weight.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "contracts/adapter_over.hpp"
#include "contracts/frozen_weight.hpp"
#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("Int8Weight keeps the contract of a frozen weight", "", float, double) {
  check_storage<TestType>([](const Matrix<TestType>& w) { return Int8Weight<TestType>(w); });
  static_assert(!MergeableWeight<Int8Weight<TestType>, TestType>);
}

TEST_CASE("Int8Weight has bitsandbytes' codes, scales and numbers, to the bit") {
  const Golden<float> golden("../quantised/bitsandbytes");
  const Matrix<float>& w = golden["int8.w"];
  const Matrix<float>& codes = golden["int8.codes"];
  const Matrix<float>& scales = golden["int8.scales"];
  const Int8Weight<float> weight(w);
  std::vector<std::int8_t> stored;
  for (Index o = 0; o < w.rows(); ++o) {
    CHECK(weight.scale(o) == scales.data()[o]);
    for (Index i = 0; i < w.cols(); ++i) {
      stored.push_back(static_cast<std::int8_t>(codes(o, i)));
      CHECK(weight.code(o, i) == stored.back());
    }
  }
  CHECK(same_bits(weight.dense(), golden["int8.decoded"]));
  const Int8Weight<float> read(stored, {scales.data(), static_cast<std::size_t>(scales.size())},
                               w.rows(), w.cols());
  CHECK(same_bits(read.dense(), golden["int8.decoded"]));
}

TEST_CASE("Int8Weight takes a byte a weight and a scale a row") {
  CHECK(Int8Weight<float>(random_matrix<float>(10, 64, 1)).bytes() == 10 * 64 + 10 * 4);
}

TEST_CASE("one row is multiplied with whole groups of columns and with those left over") {
  const Matrix<float> w = random_matrix<float>(11, 300, 1), x = random_matrix<float>(1, 300, 2),
                      dy = random_matrix<float>(1, 11, 3);
  const Int8Weight<float> weight(w);
  const Matrix<double> decoded = weight.dense().cast<double>();
  Matrix<float> y = Matrix<float>::Zero(1, 11), dx = Matrix<float>::Zero(1, 300);
  weight.add_product(x, y);
  weight.add_transposed_product(dy, dx);
  CHECK(largest_difference(y, x.cast<double>() * decoded.transpose()) <=
        Tolerance<float>(300).value);
  CHECK(largest_difference(dx, dy.cast<double>() * decoded) <= Tolerance<float>(11).value);
}

TEST_CASE("an adapter over an Int8Weight trains as over the rounded weight") {
  check_adapter_over(Int8Weight<float>(random_matrix<float>(70, 40, 1)));
}

TEST_CASE("what cannot be rounded to eight bits is refused by its place") {
  Matrix<float> w = random_matrix<float>(3, 40, 1);
  w(1, 2) = std::numeric_limits<float>::quiet_NaN();
  check_throws<ConfigError>([&] { Int8Weight<float>{w}; }, "W(1, 2) = nan");
  w(1, 2) = 70'000;
  check_throws<ConfigError>([&] { Int8Weight<float>{w}; }, "up to 65504");
  const std::vector<std::int8_t> codes(12);
  const auto read = [&](std::vector<float> scales, Index out, Index in) {
    return Int8Weight<float>(codes, scales, out, in);
  };
  CHECK(read({1, 2, 3}, 3, 4).dense().isZero());
  check_throws<ShapeError>([&] { static_cast<void>(read({1, 2, 3}, 3, 5)); }, "12 codes");
  check_throws<ShapeError>([&] { static_cast<void>(read({1, 2}, 3, 4)); }, "2 scales");
  check_throws<ShapeError>([&] { static_cast<void>(read({}, -3, -4)); }, "(-3, -4)");
  check_throws<ConfigError>(
      [&] {
        static_cast<void>(read({1, std::nanf(""), 3}, 3, 4));
      },
      "the scale of row 1 is nan");
  check_throws<ConfigError>([&] { static_cast<void>(read({1, -2, 3}, 3, 4)); }, "row 1 is -2");
  check_throws<ShapeError>([] { Int8Weight<float>({}, {}, 0, std::numeric_limits<Index>::max()); },
                           "0 codes");
}

TEST_CASE("Int8Weight rounds by the reciprocal of a row's largest number, as torch divides") {
  // 127 / x and 127 * (1 / x) differ here, and a code lies on the other side of a half.
  const Golden<float> golden("../quantised/bitsandbytes");
  const Matrix<float>& w = golden["int8_ties.w"];
  const Matrix<float>& codes = golden["int8_ties.codes"];
  const Int8Weight<float> weight(w);
  int other = 0;
  for (Index o = 0; o < w.rows(); ++o)
    for (Index i = 0; i < w.cols(); ++i) {
      CHECK(weight.code(o, i) == static_cast<int>(codes(o, i)));
      const float divided = std::nearbyint(w(o, i) * (127.0F / weight.scale(o)));
      other += divided != codes(o, i) ? 1 : 0;
    }
  CHECK(other > 0);
}
