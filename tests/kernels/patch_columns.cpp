#include <lora/kernels/patch_columns.hpp>

#include <vector>

#include <lora/core/image_shape.hpp>

#include "support/catch.hpp"
#include "support/naive_conv2d.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::kernels;
using namespace lora::test;

TEST_CASE("transposed patches are packed to their elements, from any row and place on") {
  for (const Window& window : test::windows)
    for (const Index channels : {1, 3, 8, 13}) {
      CAPTURE(window.kernel_height, window.stride_height, channels);
      const ImageShape in{2, 5, 6}, out = output_shape(window, in, "here");
      const Matrix<float> g = random_matrix<float>(out.rows(), channels, 1);
      // Forwards, and backwards from the pixels, as the gradient of a factor gathers.
      for (const bool backwards : {false, true}) {
        const PixelTaps taps =
            backwards ? Phase(window, in, out, 0, 0).taps : window_taps(window, in, out);
        if (taps.taps() == 0) continue;
        const Matrix<float> image = backwards ? g : random_matrix<float>(in.rows(), channels, 2);
        const PatchColumns<float> columns(image, taps);
        REQUIRE(columns.rows() == taps.taps() * channels);
        REQUIRE(columns.depth() == taps.rows());
        bool same = true;
        for (const Index rows : {1, 2, 4, 8})
          for (Index row = 0; row + rows <= columns.rows(); row += rows)
            for (const Index begin : {0, 7}) {
              const Index depth = columns.depth() - begin;
              if (depth < 1) continue;
              std::vector<float> packed(static_cast<std::size_t>(rows * depth));
              columns.pack({row, rows, begin, depth}, packed.data());
              for (Index k = 0; k < depth; ++k)
                for (Index i = 0; i < rows; ++i) {
                  const Index tap = (row + i) / channels, channel = (row + i) % channels;
                  const Index pixel = taps.pixel(taps.place(begin + k), tap);
                  const float expected = pixel < 0 ? 0 : image(pixel, channel);
                  same = same && packed[static_cast<std::size_t>(k * rows + i)] == expected;
                }
            }
        CHECK(same);
      }
    }
}
