#include <lora/kernels/conv2d_product.hpp>

#include <lora/kernels/kernel_order.hpp>

#include "support/catch.hpp"
#include "support/naive_conv2d.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::kernels;
using namespace lora::test;

namespace {

// A convolution with all its parts: y, and the gradients of x and of the kernel for dy = y.
struct Conv2dResults {
  Matrix<double> y, dx, dw;
};

Conv2dResults conv2d_results(const Matrix<double>& x, const ImageShape& in, const Matrix<double>& w,
                             const Window& window) {
  const ImageShape out = output_shape(window, in, "here");
  const PixelTaps taps = window_taps(window, in, out);
  Conv2dResults all{Matrix<double>(out.rows(), w.rows()), Matrix<double>(x.rows(), x.cols()),
                    Matrix<double>::Zero(w.rows(), w.cols())};
  const MatrixPanels<double> right{columns_of(w.data(), w.outerStride(), false)},
      back{columns_of(w.data(), w.outerStride(), true)};
  const MatrixRef<double> none(nullptr, 0, 0, 0);
  conv2d_forward<double>({x, taps}, right, nullptr, nullptr, {none, none},
                         {all.y.leftCols(0), {}, 0}, all.y);
  conv2d_input_gradient<double>(window, in, out, all.y, back, nullptr, {none, none}, 0, all.dx);
  add_conv2d_kernel_gradient<double>(window, in, out, all.y, x, 1, all.dw);
  return all;
}

}  // namespace

TEST_CASE("the gradients of a convolution are those of its square, for every window") {
  for (const Window& window : windows) {
    CAPTURE(window.kernel_height, window.kernel_width, window.stride_height);
    const ImageShape in{3, 7, 6};
    const Matrix<double> x = random_matrix<double>(in.rows(), 4, 1);
    const Matrix<double> file = random_matrix<double>(30, 4 * window.taps(), 2);
    Matrix<double> w(30, file.cols()), dw(30, file.cols());
    to_tap_order<double>(file, 4, w);
    const auto results = conv2d_results(x, in, w, window);
    CHECK(largest_difference(results.y, naive_conv2d(x, in, file, window)) < 1e-12);
    // y is linear in x and in w, so that both gradients of y . y / 2 give back its value.
    const double square = results.y.squaredNorm();
    CHECK((results.dx.array() * x.array()).sum() == Approx(square).epsilon(1e-12));
    CHECK((results.dw.array() * w.array()).sum() == Approx(square).epsilon(1e-12));
    // And along another kernel.
    to_file_order<double>(results.dw, 4, dw);
    const Matrix<double> other = random_matrix<double>(30, file.cols(), 3);
    const double along = (results.y.array() * naive_conv2d(x, in, other, window).array()).sum();
    CHECK((dw.array() * other.array()).sum() == Approx(along).epsilon(1e-12));
  }
}

TEST_CASE("convolutions give the same bits for any number of threads") {
  const ImageShape in{4, 28, 28};
  const Matrix<double> x = random_matrix<double>(in.rows(), 24, 1);
  const Matrix<double> w = random_matrix<double>(40, 9 * 24, 2);
  for (const Window& window : {Window::square(3, 1, 1), Window::square(3, 2, 1)}) {
    const auto one = [&] {
      const Threads threads(1);
      return conv2d_results(x, in, w, window);
    }();
    for (const int count : {2, 3}) {
      const Threads threads(count);
      const auto many = conv2d_results(x, in, w, window);
      CHECK(same_bits(many.y, one.y));
      CHECK(same_bits(many.dx, one.dx));
      CHECK(same_bits(many.dw, one.dw));
    }
  }
}

TEST_CASE("the gradient of many pixels is right for any number of channels") {
  const ImageShape in{2, 16, 16};
  for (const Index channels : {16, 32, 40, 56, 64})
    for (const Window& window : {Window{}, Window::square(3, 1, 1), Window::square(3, 2, 1)}) {
      CAPTURE(channels, window.kernel_height, window.stride_height);
      const Matrix<double> x = random_matrix<double>(in.rows(), channels, 1);
      const Matrix<double> w = random_matrix<double>(20, channels * window.taps(), 2);
      const auto results = conv2d_results(x, in, w, window);
      CHECK((results.dx.array() * x.array()).sum() ==
            Approx(results.y.squaredNorm()).epsilon(1e-12));
      // Pixel by pixel against another image.
      const Matrix<double> other = random_matrix<double>(in.rows(), channels, 3);
      const auto along = conv2d_results(other, in, w, window);
      CHECK((results.dx.array() * other.array()).sum() ==
            Approx((results.y.array() * along.y.array()).sum()).epsilon(1e-10));
    }
}
