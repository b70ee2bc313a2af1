#include <lora/kernels/image_padding.hpp>

#include "support/catch.hpp"
#include "support/naive_conv2d.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::kernels;
using namespace lora::test;

TEST_CASE("padded images have the pixels that the mode says around them, and give gradients back") {
  const ImageShape in{2, 5, 6};
  const Matrix<double> x = random_matrix<double>(in.rows(), 3, 1);
  for (const Window& window : padded_windows) {
    CAPTURE(static_cast<int>(window.padding_mode));
    REQUIRE(pads_with_pixels(window));
    Scratch scratch;
    const PaddedImages<double> padded = padded_images<double>(window, in, x, scratch);
    const ImageShape& size = padded.in;
    CHECK(size == padded_shape(window, in));
    CHECK(!pads_with_pixels(padded.window));
    CHECK(output_shape(padded.window, size, "here") == output_shape(window, in, "here"));
    Index row = 0;
    for (Index n = 0; n < 2; ++n)
      for (Index y = 0; y < size.height; ++y)
        for (Index column = 0; column < size.width; ++column, ++row) {
          const Index from_y = naive_pixel(y - window.padding_height, 5, window.padding_mode);
          const Index from_x = naive_pixel(column - window.padding_width, 6, window.padding_mode);
          CHECK(same_bits(padded.x.row(row), x.row((n * 5 + from_y) * 6 + from_x)));
        }
    // The transposed map: dpadded . pad(x) = fold(dpadded) . x.
    const Matrix<double> dpadded = random_matrix<double>(size.rows(), 3, 2);
    Matrix<double> dx(in.rows(), 3);
    fold_padding<double>(window, in, dpadded, dx);
    CHECK((dx.array() * x.array()).sum() ==
          Approx((dpadded.array() * padded.x.array()).sum()).epsilon(1e-12));
  }
}

TEST_CASE("images between zeros are not padded") {
  const Matrix<double> x = random_matrix<double>(20, 3, 1);
  Scratch scratch;
  const Window window = Window::square(3, 1, 1);
  const auto same = padded_images<double>(window, {1, 4, 5}, x, scratch);
  CHECK(same.x.data() == x.data());
  CHECK(same.window == window);
  CHECK(!pads_with_pixels(Window::square(3, 1, 0, 1, PaddingMode::reflect)));
}
