#include <lora/kernels/depthwise_conv2d.hpp>

#include <lora/kernels/kernel_order.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/naive_conv2d.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"
#include "support/ungrouped_kernel.hpp"

using namespace lora;
using namespace lora::kernels;
using namespace lora::test;

TEST_CASE("a depthwise product is each channel's own convolution, for any number of channels") {
  const ImageShape in{2, 5, 6};
  for (const Index channels : {1, 7, 64, 131})
    for (const Window& window : windows) {
      CAPTURE(channels, window.kernel_height, window.stride_height);
      const ImageShape out = output_shape(window, in, "here");
      const Matrix<float> x = random_matrix<float>(in.rows(), channels, 1),
                          file = random_matrix<float>(channels, window.taps(), 2),
                          start = random_matrix<float>(1, channels, 3);
      const Matrix<float> kernel = file.transpose();
      Matrix<float> y(out.rows(), channels);
      const auto same = [](Index i) { return i; };
      depthwise_product<float>(x, window_taps(window, in, out), kernel, same, start.data(), same,
                               y);
      const Matrix<double> expected =
          naive_conv2d(x, in, ungrouped_kernel(file, channels), window).rowwise() +
          start.row(0).cast<double>();
      CHECK(largest_difference(y, expected) < 1e-5);
    }
}

TEST_CASE("a depthwise product has the same bits for any number of threads", "[threads]") {
  const ImageShape in{4, 40, 40};
  const Window window = Window::square(3, 1, 1);
  const Matrix<float> x = random_matrix<float>(in.rows(), 100, 1),
                      kernel = random_matrix<float>(9, 100, 2);
  const auto product = [&] {
    Matrix<float> y(in.rows(), 100);
    const auto same = [](Index i) { return i; };
    depthwise_product<float>(x, window_taps(window, in, in), kernel, same, nullptr, same, y);
    return y;
  };
  const Matrix<float> expected = product();
  for (const int threads : {1, 3}) {
    const Threads some(threads);
    CHECK(same_bits(product(), expected));
  }
}
