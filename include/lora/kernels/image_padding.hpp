#pragma once

#include <algorithm>

#include "lora/core/elementwise.hpp"
#include "lora/core/image_shape.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/conv2d_product.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/window.hpp"

/// Images with pixels of their own around them, as padding_mode says, so that a convolution over
/// them needs no padding.
namespace lora::kernels {

/// Tells whether the window's images are to be padded: kernels need no pixels for zeros.
[[nodiscard]] inline bool pads_with_pixels(const Window& window) {
  return window.padding_mode != PaddingMode::zeros &&
         (window.padding_height > 0 || window.padding_width > 0);
}

/// Returns the size of images that are padded.
[[nodiscard]] inline ImageShape padded_shape(const Window& window, const ImageShape& in) {
  return {in.images, in.height + 2 * window.padding_height, in.width + 2 * window.padding_width};
}

/// Returns the window over images that are padded already.
[[nodiscard]] inline Window without_padding(Window window) {
  window.padding_height = window.padding_width = 0;
  window.padding_mode = PaddingMode::zeros;
  return window;
}

/// Returns the pixel of an axis of n that stands at place i, which may be outside of [0, n) by no
/// more than output_shape allows.
[[nodiscard]] inline Index padding_pixel(Index i, Index n, PaddingMode mode) {
  if (mode == PaddingMode::reflect) return i < 0 ? -i : std::min(i, 2 * (n - 1) - i);
  if (mode == PaddingMode::circular) return i < 0 ? i + n : i < n ? i : i - n;
  return std::clamp<Index>(i, 0, n - 1);
}

/// Images to convolve: as they are, or padded.
template <class T>
struct PaddedImages {
  ConstMatrixRef<T> x;  // (in.rows(), channels)
  ImageShape in;
  Window window;
};

/// Returns the images x (in.rows(), channels), padded in memory of `scratch` if the window's
/// padding_mode asks for it.
template <class T>
[[nodiscard]] PaddedImages<T> padded_images(const Window& window, const ImageShape& in,
                                            const ConstMatrixRef<T>& x, Scratch& scratch) {
  if (!pads_with_pixels(window)) return {x, in, window};
  const ImageShape size = padded_shape(window, in);
  MatrixRef<T> padded = scratch.matrix<T>(size.rows(), x.cols());
  for_each_row(size.rows(), x.cols(), 16, [&](Index row) {
    const Index px = row % size.width - window.padding_width;
    const Index line = row / size.width, image = line / size.height;
    const Index py = line % size.height - window.padding_height;
    const Index from =
        (image * in.height + padding_pixel(py, in.height, window.padding_mode)) * in.width +
        padding_pixel(px, in.width, window.padding_mode);
    std::copy_n(x.data() + from * x.outerStride(), x.cols(),
                padded.data() + row * padded.outerStride());
  });
  return {padded, size, without_padding(window)};
}

namespace detail {

// For each pixel of an axis the places of the padded axis where it stands, in their order.
struct PaddingPlaces {
  PaddingPlaces(Index n, Index padding, PaddingMode mode, Scratch& scratch)
      : begin(scratch.take<Index>(n + 1)), places(scratch.take<Index>(n + 2 * padding)) {
    std::fill_n(begin, n + 1, Index{0});
    for (Index i = -padding; i < n + padding; ++i) ++begin[padding_pixel(i, n, mode) + 1];
    for (Index i = 0; i < n; ++i) begin[i + 1] += begin[i];
    for (Index i = -padding; i < n + padding; ++i)
      places[begin[padding_pixel(i, n, mode)]++] = i + padding;
    for (Index i = n; i > 0; --i) begin[i] = begin[i - 1];
    begin[0] = 0;
  }

  Index* begin;   // (n + 1)
  Index* places;  // those of pixel i: from begin[i] to begin[i + 1]
};

}  // namespace detail

/// Computes the gradient dx (in.rows(), channels) of images from that of what they were padded to,
/// dpadded (padded_shape(window, in).rows(), channels): each pixel's is the sum over all places
/// where it stands, in their order.
template <class T>
void fold_padding(const Window& window, const ImageShape& in, const ConstMatrixRef<T>& dpadded,
                  MatrixRef<T> dx) {
  const ImageShape size = padded_shape(window, in);
  Scratch scratch;
  const PaddingMode mode = window.padding_mode;
  const detail::PaddingPlaces ys(in.height, window.padding_height, mode, scratch);
  const detail::PaddingPlaces xs(in.width, window.padding_width, mode, scratch);
  for_each_row(in.rows(), dx.cols(), 16, [&](Index row) {
    const Index x = row % in.width, line = row / in.width;
    const Index y = line % in.height, image = line / in.height;
    dx.row(row).setZero();
    for (Index i = ys.begin[y]; i < ys.begin[y + 1]; ++i)
      for (Index j = xs.begin[x]; j < xs.begin[x + 1]; ++j)
        dx.row(row) +=
            dpadded.row((image * size.height + ys.places[i]) * size.width + xs.places[j]);
  });
}

/// Does what conv2d_input_gradient does, for images that padded_images made of those of size `in`:
/// dx is the gradient of these.
template <class T, class Right>
requires PanelSource<Right, T>
void conv2d_images_gradient(const Window& window, const ImageShape& in, const ImageShape& out,
                            const ConstMatrixRef<T>& dy, const Right& right, const T* row_scale,
                            const LowRankInput<T>& low_rank, T scale, MatrixRef<T> dx) {
  if (!pads_with_pixels(window))
    return conv2d_input_gradient<T>(window, in, out, dy, right, row_scale, low_rank, scale, dx);
  const ImageShape size = padded_shape(window, in);
  Scratch scratch;
  MatrixRef<T> dpadded = scratch.matrix<T>(size.rows(), dx.cols());
  conv2d_input_gradient<T>(without_padding(window), size, out, dy, right, row_scale, low_rank,
                           scale, dpadded);
  fold_padding<T>(window, in, dpadded, dx);
}

}  // namespace lora::kernels
