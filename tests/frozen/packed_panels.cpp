#include <lora/frozen/packed_panels.hpp>
#include <lora/frozen/packed_weight.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("packed panels find every weight, the last panel narrower", "", float, double) {
  using T = TestType;
  constexpr Index columns = PackedPanels<T>::columns, width = Simd<T>::width;
  const Index in = 7;
  for (const Index out : {Index{1}, width + 1, columns, columns + 1, 2 * columns - 1}) {
    CAPTURE(out);
    const Matrix<T> w = random_matrix<T>(out, in, 1);
    const PackedWeight<T> weight(w);
    const PackedPanels<T> panels = weight.panels();
    for (Index o = 0; o < out; ++o)
      for (Index i = 0; i < in; ++i) REQUIRE(*panels.at(o, i) == w(o, i));
    for (Index first = 0; first < out; first += columns) {
      CHECK(panels.width_at(first) % width == 0);
      CHECK(panels.width_at(first) >= std::min(columns, out - first));
      CHECK(panels.width_at(first) < std::min(columns, out - first) + width);
    }
  }
}

TEST_CASE("panels of W^T are read in place, those of W are made in the buffer") {
  const Matrix<float> w = random_matrix<float>(100, 60, 1);
  const PackedWeight<float> weight(w);
  std::vector<float> buffer(
      static_cast<std::size_t>(kernels::depth_block * PackedPanels<float>::columns));
  const Index columns = std::min<Index>(PackedPanels<float>::columns, 60);
  const auto forward = weight.panels().panel({0, columns, 0, 60, 1}, buffer.data());
  CHECK(forward.data == weight.panels().at(0, 0));
  const auto backward = weight.transposed_panels().panel({0, columns, 0, 100, 1}, buffer.data());
  CHECK(backward.data == buffer.data());
  for (Index o = 0; o < 100; ++o)
    for (Index i = 0; i < columns; ++i) REQUIRE(backward.data[o * backward.stride + i] == w(o, i));
}

TEST_CASE(
    "packed panels pay where there are more than a few rows, whatever multiplies dense matrices") {
  CHECK_FALSE(PackedPanels<float>::pays(1));
  CHECK(!PackedPanels<float>::pays(kernels::TileShape<float>::rows));
  CHECK(PackedPanels<float>::pays(9));
  CHECK_FALSE(TransposedPackedPanels<float>::pays(1));
  CHECK(!TransposedPackedPanels<float>::pays(16));
  CHECK(TransposedPackedPanels<float>::pays(17));
}

TEST_CASE("panels of W say where the next one's pieces lie") {
  constexpr Index columns = PackedPanels<float>::columns;
  const Matrix<float> w = random_matrix<float>(3 * columns, 60, 1);
  const PackedWeight<float> weight(w);
  const auto ahead = weight.transposed_panels().ahead({columns, 12, columns, 2 * columns, 1});
  CHECK(ahead.data == weight.panels().at(columns, columns));
  CHECK(ahead.data + ahead.stride == weight.panels().at(2 * columns, columns));
  CHECK(ahead.size == 12 * columns);
  CHECK(ahead.steps == columns);
  STATIC_REQUIRE(kernels::ForeseenPanelSource<TransposedPackedPanels<float>, float>);
}
