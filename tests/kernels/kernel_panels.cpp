#include <lora/kernels/kernel_panels.hpp>

#include <array>
#include <vector>

#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::kernels;
using namespace lora::test;

TEMPLATE_TEST_CASE("a kernel's panels are its elements, whatever the storage and where they begin",
                   "", DenseWeight<float>, PackedWeight<float>, PackedWeight<double>,
                   HalfWeight<float>) {
  using T = typename TestType::Scalar;
  const Window window = Window::square(3, 2, 1);
  const ImageShape in{1, 6, 6}, shape = output_shape(window, in, "here");
  const Phase phase(window, in, shape, 1, 1);
  REQUIRE(phase.taps.taps() == 4);
  for (const auto& [out, channels] : {std::pair<Index, Index>{5, 3}, {100, 70}, {390, 20}}) {
    CAPTURE(out, channels);
    const TestType weight(random_matrix<T>(out, 9 * channels, 1));
    const Matrix<T> w = weight.dense();
    const KernelPanels<T, decltype(weight.transposed_panels())> panels{weight.transposed_panels(),
                                                                       &phase, out, channels};
    std::vector<T> buffer(static_cast<std::size_t>(depth_block * TileShape<T>::columns));
    for (Index k = 0; k < 4 * out; k += depth_block)
      for (Index column = 0; column < channels; column += TileShape<T>::columns) {
        const Index columns = std::min(TileShape<T>::columns, channels - column);
        const Index depth = std::min(depth_block, 4 * out - k);
        const Panel<T> panel = panels.panel({column, columns, k, depth, 1}, buffer.data());
        bool same = true;
        for (Index i = 0; i < depth; ++i)
          for (Index j = 0; j < columns; ++j) {
            const Index tap = phase.kernel_tap((k + i) / out);
            same = same && panel.data[i * panel.stride + j] ==
                               w((k + i) % out, tap * channels + column + j);
          }
        CHECK(same);
      }
  }
}

TEST_CASE("a kernel's panels lie ahead where the storage tells") {
  using Packed = KernelPanels<float, TransposedPackedPanels<float>>;
  STATIC_REQUIRE(ForeseenPanelSource<Packed, float>);
  STATIC_REQUIRE_FALSE(ForeseenPanelSource<KernelPanels<float, MatrixPanels<float>>, float>);
  const Window window = Window::square(3, 2, 1);
  const ImageShape in{1, 6, 6}, shape = output_shape(window, in, "here");
  const Phase phase(window, in, shape, 1, 1);
  const Index out = 390, channels = 20;
  const PackedWeight<float> weight(random_matrix<float>(out, 9 * channels, 1));
  const Packed panels{weight.transposed_panels(), &phase, out, channels};
  // The second depth block begins with output 384 of the first tap, the third with 378 of the next.
  for (const auto& [k, tap, o] : {std::array<Index, 3>{384, 0, 384}, {768, 1, 378}}) {
    const auto ahead = panels.ahead({4, 8, k, depth_block, 1});
    CHECK(ahead.data == weight.panels().at(o, phase.kernel_tap(tap) * channels + 4));
  }
}
