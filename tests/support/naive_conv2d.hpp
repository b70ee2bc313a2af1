#pragma once

#include <iterator>
#include <vector>

#include <lora/core/image_shape.hpp>
#include <lora/kernels/window.hpp>

namespace lora::test {

/// Returns the pixel that stands at place i, inside of the n pixels of an axis or around them, or
/// -1 for a zero.
inline Index naive_pixel(Index i, Index n, PaddingMode mode) {
  if (i >= 0 && i < n) return i;
  switch (mode) {
    case PaddingMode::reflect:
      return i < 0 ? -i : 2 * (n - 1) - i;
    case PaddingMode::replicate:
      return i < 0 ? 0 : n - 1;
    case PaddingMode::circular:
      return i < 0 ? i + n : i - n;
    default:
      return -1;
  }
}

/// The convolution of images x (pixels, channels) with a kernel (out, channels * taps) as files
/// have it, in double, by its definition.
template <class X, class W>
Matrix<double> naive_conv2d(const X& x, const ImageShape& in, const W& weight,
                            const Window& window) {
  const Index channels = x.cols(), kh = window.kernel_height, kw = window.kernel_width;
  const ImageShape out = output_shape(window, in, "naive_conv2d");
  Matrix<double> y = Matrix<double>::Zero(out.rows(), weight.rows());
  Index row = 0;
  for (Index n = 0; n < out.images; ++n)
    for (Index oy = 0; oy < out.height; ++oy)
      for (Index ox = 0; ox < out.width; ++ox, ++row)
        for (Index ky = 0; ky < kh; ++ky)
          for (Index kx = 0; kx < kw; ++kx) {
            const Index iy = naive_pixel(
                oy * window.stride_height - window.padding_height + ky * window.dilation_height,
                in.height, window.padding_mode);
            const Index ix = naive_pixel(
                ox * window.stride_width - window.padding_width + kx * window.dilation_width,
                in.width, window.padding_mode);
            if (iy < 0 || ix < 0) continue;
            const Index pixel = (n * in.height + iy) * in.width + ix;
            for (Index o = 0; o < weight.rows(); ++o)
              for (Index c = 0; c < channels; ++c)
                y(row, o) += double(x(pixel, c)) * double(weight(o, (c * kh + ky) * kw + kx));
          }
  return y;
}

/// Windows of every kind: pointwise, square, long, strided, with more padding than needed, a
/// stride beyond the kernel, which leaves pixels that no window reaches, and dilations that share
/// nothing, all or a part with the stride.
inline const Window windows[] = {Window{},
                                 Window::square(3, 1, 1),
                                 Window::square(3, 2, 1),
                                 Window::square(1, 2),
                                 Window::square(7, 2, 3),
                                 {1, 3, 1, 1, 0, 1},
                                 {3, 2, 2, 3, 0, 2},
                                 {2, 2, 3, 3, 0, 0},
                                 Window::square(2, 1, 2),
                                 Window::square(3, 1, 2, 2),
                                 Window::square(2, 2, 1, 2),
                                 {3, 2, 4, 3, 2, 1, 2, 4},
                                 {2, 3, 2, 1, 1, 3, 3, 2}};

/// Windows with something else than zeros around the image.
inline const Window padded_windows[] = {
    Window::square(3, 1, 1, 1, PaddingMode::reflect),
    Window::square(3, 2, 2, 1, PaddingMode::circular),
    {3, 2, 1, 2, 2, 1, 2, 1, PaddingMode::replicate},
    {2, 3, 2, 1, 1, 4, 2, 2, PaddingMode::reflect},
};

/// Returns the windows of both lists.
inline std::vector<Window> all_windows() {
  std::vector<Window> all(std::begin(windows), std::end(windows));
  all.insert(all.end(), std::begin(padded_windows), std::end(padded_windows));
  return all;
}

}  // namespace lora::test
