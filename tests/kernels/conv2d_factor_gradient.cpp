#include <lora/kernels/conv2d_factor_gradient.hpp>

#include <utility>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/naive_conv2d.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::kernels;
using namespace lora::test;

TEST_CASE("a factor's gradient, gathered at the pixels, is that of patches") {
  for (const Window& window : test::windows)
    for (const auto& [rank, channels] : {std::pair<Index, Index>{1, 5}, {3, 20}, {8, 5}, {20, 9}}) {
      CAPTURE(window.kernel_height, window.stride_height, rank, channels);
      const ImageShape in{2, 9, 7}, out = output_shape(window, in, "here");
      const Matrix<double> x = random_matrix<double>(in.rows(), channels, 1);
      const Matrix<double> g = random_matrix<double>(out.rows(), rank, 2);
      Matrix<double> da = random_matrix<double>(rank, channels * window.taps(), 3), expected = da;
      add_conv2d_kernel_gradient<double>(window, in, out, g, x, 0.5, expected);
      add_conv2d_factor_gradient<double>(window, in, out, g, x, 0.5, da);
      CHECK(largest_difference(da, expected) < 1e-12);
    }
}

TEST_CASE("a factor's gradient over many pixels has the same bits for any number of threads") {
  const Window window = Window::square(3, 1, 1);
  const ImageShape in{3, 56, 56};  // some blocks of pixels
  const Matrix<float> x = random_matrix<float>(in.rows(), 20, 1);
  const Matrix<float> g = random_matrix<float>(in.rows(), 8, 2);
  const auto gradient = [&](int count) {
    const Threads threads(count);
    Matrix<float> da = Matrix<float>::Zero(8, 9 * 20);
    add_conv2d_factor_gradient<float>(window, in, in, g, x, 1, da);
    return da;
  };
  const Matrix<float> one = gradient(1);
  CHECK(same_bits(gradient(2), one));
  CHECK(same_bits(gradient(3), one));
  Matrix<float> expected = Matrix<float>::Zero(8, 9 * 20);
  add_conv2d_kernel_gradient<float>(window, in, in, g, x, 1, expected);
  CHECK(largest_difference(one, expected.cast<double>()) < Tolerance<float>(in.rows()).value);

  const Threads counted(countable_threads(2));
  Matrix<float> da = one;
  const auto again = [&] { add_conv2d_factor_gradient<float>(window, in, in, g, x, 1, da); };
  again();
  CHECK(allocations_of(again).count == 0);
}
