#pragma once

#include <lora/core/image_shape.hpp>
#include <lora/kernels/window.hpp>

namespace lora::test {

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
            const Index iy = oy * window.stride_height - window.padding_height + ky;
            const Index ix = ox * window.stride_width - window.padding_width + kx;
            if (iy < 0 || iy >= in.height || ix < 0 || ix >= in.width) continue;
            const Index pixel = (n * in.height + iy) * in.width + ix;
            for (Index o = 0; o < weight.rows(); ++o)
              for (Index c = 0; c < channels; ++c)
                y(row, o) += double(x(pixel, c)) * double(weight(o, (c * kh + ky) * kw + kx));
          }
  return y;
}

/// Windows of every kind: pointwise, square, long, strided, with more padding than needed, and a
/// stride beyond the kernel, which leaves pixels that no window reaches.
inline const Window windows[] = {Window{},
                                 Window::square(3, 1, 1),
                                 Window::square(3, 2, 1),
                                 Window::square(1, 2),
                                 Window::square(7, 2, 3),
                                 {1, 3, 1, 1, 0, 1},
                                 {3, 2, 2, 3, 0, 2},
                                 {2, 2, 3, 3, 0, 0},
                                 Window::square(2, 1, 2)};

}  // namespace lora::test
