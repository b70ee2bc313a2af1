#include <lora/frozen/half_weight.hpp>

#include <cstdint>
#include <limits>

#include <lora/kernels/emulated_tiles.hpp>

#include "contracts/adapter_over.hpp"
#include "contracts/frozen_weight.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;
using kernels::BFloat16Format;
using kernels::Float16Format;

namespace {

template <class Weight>
concept CanMerge = MergeableWeight<Weight, float>;

using OnTiles = HalfWeight<float, BFloat16Format, kernels::EmulatedTiles>;
constexpr auto on_tiles = [](const Matrix<float>& w) { return OnTiles(w); };

}  // namespace

TEMPLATE_TEST_CASE("HalfWeight keeps the contract of a frozen weight", "", float, double) {
  check_storage<TestType>([](const Matrix<TestType>& w) { return HalfWeight<TestType>(w); });
  check_storage<TestType>(
      [](const Matrix<TestType>& w) { return HalfWeight<TestType, Float16Format>(w); });
}

TEST_CASE("HalfWeight on matrix tiles keeps the contract of a frozen weight") {
  // (tests/kernels/tiled_product.cpp looks at threads, for which an emulation is slow.)
  check_frozen_weight<float>(on_tiles);
  check_panel_weight<float>(on_tiles);
  check_adapter_over(on_tiles(random_matrix<float>(96, 80, 1)));
}

TEST_CASE("HalfWeight uses tiles as it is told, where they are filled") {
  const Matrix<float> w = random_matrix<float>(96, 128, 1);
  const HalfWeight<float> plain(w, {.tiles = TileUse::none});
  const OnTiles split(w), rounded(w, {.tiles = TileUse::rounded}),
      none(w, {.tiles = TileUse::none});
  for (const Index n : {Index{1}, kernels::tiled_rows - 1, kernels::tiled_rows, Index{40}}) {
    CAPTURE(n);
    const Matrix<float> x = random_matrix<float>(n, 128, 2), dy = random_matrix<float>(n, 96, 3);
    const auto products = [&](const auto& weight) {
      Matrix<float> both = Matrix<float>::Zero(n, 96 + 128);
      weight.add_product(x, both.leftCols(96));
      weight.add_transposed_product(dy, both.rightCols(128));
      return both;
    };
    const Matrix<float> expected = products(plain);
    CHECK(same_bits(products(none), expected));
    const double split_error = (products(split) - expected).norm() / expected.norm();
    const double rounded_error = (products(rounded) - expected).norm() / expected.norm();
    CHECK(split_error <= 4e-6);
    CHECK(rounded_error <= 0x1p-8);
    CHECK((split_error > 0) == (n >= kernels::tiled_rows));
    CHECK((rounded_error > 1e-3) == (n >= kernels::tiled_rows));
    CHECK(split.panels().pays(n) == false);
    CHECK(none.panels().pays(n) == plain.panels().pays(n));
  }
}

TEST_CASE("HalfWeight rounds to the nearest, once, in half of float's memory") {
  constexpr Index width = Simd<float>::width;
  for (const Index out : {Index{1}, width, width + 1, Index{100}, Index{193}}) {
    CAPTURE(out);
    const Index in = 35;
    const Matrix<float> w = random_matrix<float>(out, in, 1);
    const HalfWeight<float> weight(w);
    const Matrix<float> once = weight.dense();
    bool nearest = true;
    for (Index o = 0; o < out; ++o)
      for (Index i = 0; i < in; ++i)
        nearest = nearest && weight.bits(o, i) == kernels::bfloat16_of_float(w(o, i));
    CHECK(nearest);
    CHECK(same_bits(HalfWeight<float>(once).dense(), once));
    CHECK(largest_difference(once, w.cast<double>()) <= 0.004);
    const auto numbers = static_cast<std::size_t>((out + width - 1) / width * width * in);
    CHECK(weight.bytes() == 2 * numbers);
  }
}

TEST_CASE("an adapter over a HalfWeight trains as over the rounded weight") {
  check_adapter_over(HalfWeight<float>(random_matrix<float>(70, 40, 1)));
  // Merging would round; a merged copy does not.
  static_assert(!CanMerge<HalfWeight<float>>);
}

TEST_CASE("HalfWeight refuses numbers that only infinity would stand for") {
  Matrix<float> w = Matrix<float>::Zero(60, 8);
  w(50, 7) = 65504;
  const auto half = [&] { return HalfWeight<float, Float16Format>(w); };
  CHECK(half().dense()(50, 7) == 65504);
  w(50, 7) = 1e5F;
  check_throws<ConfigError>(half,
                            "HalfWeight: W(50, 7) = 100000 does not fit float16, whose largest "
                            "number is 65504");
  w(50, 7) = std::numeric_limits<float>::max();
  check_throws<ConfigError>([&] { return HalfWeight<float>(w); }, "does not fit bfloat16");
  // What is infinite already stays so.
  w(50, 7) = std::numeric_limits<float>::infinity();
  CHECK(half().dense()(50, 7) == w(50, 7));
}
