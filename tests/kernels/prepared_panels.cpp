#include <lora/kernels/prepared_panels.hpp>

#include <algorithm>
#include <utility>
#include <vector>

#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"

using namespace lora;
using namespace lora::kernels;
using namespace lora::test;

TEMPLATE_TEST_CASE("panels that are prepared are those of their source", "", PackedWeight<float>,
                   PackedWeight<double>, HalfWeight<float>) {
  using T = typename TestType::Scalar;
  const Threads threads(2);
  for (const auto& [out, in] : {std::pair<Index, Index>{5, 3}, {400, 70}, {800, 100}}) {
    CAPTURE(out, in);
    const TestType weight(random_matrix<T>(out, in, 1));
    const auto source = weight.transposed_panels();  // of W (out, in) itself
    Scratch scratch;
    const PreparedPanels<T> prepared(source, out, in, scratch);
    std::vector<T> buffer(static_cast<std::size_t>(depth_block * TileShape<T>::columns));
    bool same = true;
    for (Index k = 0; k < out; k += depth_block)
      for (Index column = 0; column < in; column += TileShape<T>::columns) {
        const PanelRequest request{column, std::min(TileShape<T>::columns, in - column), k,
                                   std::min(depth_block, out - k), 1};
        const Panel<T> expected = source.panel(request, buffer.data());
        const Panel<T> found = prepared.panel(request, nullptr);
        for (Index i = 0; i < request.depth; ++i)
          for (Index j = 0; j < request.columns; ++j)
            same =
                same && found.data[i * found.stride + j] == expected.data[i * expected.stride + j];
      }
    CHECK(same);
  }
}

TEST_CASE("a right side may begin at any column of another") {
  const Matrix<float> w = random_matrix<float>(7, 60, 1);
  const MatrixPanels<float> all{columns_of(w.data(), w.outerStride(), true)};
  std::vector<float> buffer(static_cast<std::size_t>(7 * TileShape<float>::columns));
  const ShiftedPanels<float, MatrixPanels<float>> from_five{all, 5};
  const Panel<float> panel = from_five.panel({0, 9, 0, 7, 100}, buffer.data());
  for (Index i = 0; i < 7; ++i)
    for (Index j = 0; j < 9; ++j) CHECK(panel.data[i * panel.stride + j] == w(i, 5 + j));
  Scratch scratch;
  CHECK(PreparedPanels<float>(from_five, 7, 0, scratch).columns() == 0);
}
