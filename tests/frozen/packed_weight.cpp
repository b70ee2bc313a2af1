#include <lora/frozen/packed_weight.hpp>

#include "contracts/frozen_weight.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("PackedWeight keeps the contract of a frozen weight", "", float, double,
                   long double) {
  check_storage<TestType>([](const Matrix<TestType>& w) { return PackedWeight<TestType>(w); });
}

TEMPLATE_TEST_CASE("PackedWeight holds W's bits, in memory rounded up to whole vectors", "", float,
                   double) {
  using T = TestType;
  constexpr Index width = Simd<T>::width;
  for (const Index out : {Index{1}, width, width + 1, Index{48}, Index{100}, Index{193}}) {
    CAPTURE(out);
    const Index in = 35;
    const Matrix<T> w = random_matrix<T>(out, in, 1);
    const PackedWeight<T> weight(w);
    CHECK(same_bits(weight.dense(), w));
    const auto scalars = static_cast<std::size_t>((out + width - 1) / width * width * in);
    CHECK(weight.bytes() == scalars * sizeof(T));
  }
}

TEST_CASE("PackedWeight is packed from a block and from memory of another owner") {
  const Matrix<float> wide = random_matrix<float>(70, 50, 1);
  const PackedWeight<float> weight(wide.block(3, 5, 60, 40));
  CHECK(same_bits(weight.dense(), wide.block(3, 5, 60, 40)));
}

TEST_CASE("merging into packed panels adds to their own outputs alone, for ranks of any size") {
  for (const Index rank : {Index{1}, Index{16}, Index{500}}) {
    CAPTURE(rank);
    const Index out = 230, in = 150;
    const Matrix<float> w = random_matrix<float>(out, in, 1);
    const Matrix<float> a = random_matrix<float>(rank, in, 2),
                        b = random_matrix<float>(out, rank, 3);
    PackedWeight<float> weight(w);
    weight.add_low_rank(2.0F, b, a);
    const Matrix<double> expected = w.cast<double>() + 2 * b.cast<double>() * a.cast<double>();
    CHECK(largest_difference(weight.dense(), expected) <= Tolerance<float>(rank, 2).value);
  }
}
