#include <lora/kernels/patch_rows.hpp>

#include <lora/core/scratch.hpp>
#include <lora/kernels/panel_product.hpp>

#include "support/catch.hpp"
#include "support/naive_conv2d.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::kernels;
using namespace lora::test;

namespace {

// Patches by their definition, as a matrix.
template <class T>
Matrix<T> patch_matrix(const Matrix<T>& image, const PixelTaps& taps) {
  Matrix<T> patches = Matrix<T>::Zero(taps.rows(), taps.taps() * image.cols());
  for (Index row = 0; row < taps.rows(); ++row)
    for (Index t = 0; t < taps.taps(); ++t)
      if (const Index pixel = taps.pixel(taps.place(row), t); pixel >= 0)
        patches.row(row).segment(t * image.cols(), image.cols()) = image.row(pixel);
  return patches;
}

}  // namespace

TEMPLATE_TEST_CASE("patches stand on both sides of products", "", float, double) {
  using T = TestType;
  for (const Window& window : test::windows)
    for (const Index channels : {1, 3, 8, 50, 400}) {
      CAPTURE(window.kernel_height, window.stride_height, channels);
      const ImageShape in{2, 5, 6};
      const PixelTaps taps = window_taps(window, in, output_shape(window, in, "here"));
      // Images may be columns of a wider matrix.
      const Index beside = channels % 2 == 0 ? 2 : 0;
      const Matrix<T> wide = random_matrix<T>(in.rows(), channels + beside, 1);
      const auto image = wide.middleCols(beside / 2, channels);
      const Matrix<T> patches = patch_matrix<T>(image, taps);
      const PatchRows<T> rows(image, taps);
      REQUIRE(rows.rows() == patches.rows());
      REQUIRE(rows.depth() == patches.cols());

      const Matrix<T> right = random_matrix<T>(patches.cols(), 5, 2);
      Matrix<T> y = Matrix<T>::Zero(patches.rows(), 5);
      const MatrixPanels<T> panels{columns_of(right.data(), right.outerStride(), true)};
      add_panel_product<T>(rows, panels, T(1), y);
      CHECK(
          largest_difference(y, patches.template cast<double>() * right.template cast<double>()) <=
          Tolerance<T>(patches.cols()).value);

      for (const Index high : {2, 30}) {
        const Matrix<T> left = random_matrix<T>(high, patches.rows(), 3);
        Matrix<T> dw = Matrix<T>::Zero(high, patches.cols());
        add_panel_product<T>(left, PatchPanels<T>(image, taps), T(1), dw);
        CHECK(largest_difference(dw,
                                 left.template cast<double>() * patches.template cast<double>()) <=
              Tolerance<T>(patches.rows()).value);
      }
    }
}
