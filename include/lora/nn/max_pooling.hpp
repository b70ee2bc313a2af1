#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "lora/core/elementwise.hpp"
#include "lora/core/image_shape.hpp"
#include "lora/core/output.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/pixel_taps.hpp"
#include "lora/kernels/window.hpp"

namespace lora {

/// Which pixel of its window each result of a max pooling is, counted from the window's first: what
/// its backward needs, a byte each.
using MaxPoolingChoice = Matrix<std::uint8_t>;

namespace detail {

// Takes the elements of `next` that are larger than those of `best`, noting `tap`. The first of
// equals is kept, and a NaN is larger than all, as in PyTorch.
template <class T>
void take_larger(Index count, const T* next, T tap, T* best, T* chosen) {
  for (Index c = 0; c < count; ++c) {
    const T one = next[c], other = best[c];
    const bool take = one > other || std::isnan(one);
    best[c] = take ? one : other;
    chosen[c] = take ? tap : chosen[c];
  }
}

template <class T>
void max_pooling(ConstMatrixRef<T> x, const ImageShape& in, const Window& window, Output<T> y,
                 MaxPoolingChoice* choice) {
  constexpr const char* where = "max_pooling";
  validate(window, where);
  require_pixels(x, in, x.cols(), where, "x");
  if (window.taps() > 256)
    throw ConfigError(
        message(where, ": the window has ", window.taps(), " pixels, expected at most 256"));
  if (2 * window.padding_height > window.kernel_height ||
      2 * window.padding_width > window.kernel_width)
    throw ConfigError(message(where, ": padding is ", window.padding_height, " x ",
                              window.padding_width, ", expected at most half of the kernel"));
  if (window.dilation_height != 1 || window.dilation_width != 1 ||
      window.padding_mode != PaddingMode::zeros)
    throw ConfigError(message(where,
                              ": the window has a dilation or a padding_mode, which are "
                              "built for convolutions alone"));
  const ImageShape out = output_shape(window, in, where);
  MatrixRef<T> to = y.shaped(out.rows(), x.cols(), where, "y", {x});
  if (choice != nullptr) choice->resize(out.rows(), x.cols());
  const kernels::PixelTaps taps = kernels::window_taps(window, in, out);
  for_each_row(out.rows(), x.cols(), 2 * static_cast<double>(window.taps()), [&](Index row) {
    const auto place = taps.place(row);
    T* const best = to.data() + row * to.outerStride();
    // Counted in T, so that both choices are made by the same packets.
    Scratch scratch;
    T* const chosen = scratch.take<T>(x.cols());
    bool first = true;
    for (Index t = 0; t < taps.taps(); ++t) {
      const Index pixel = taps.pixel(place, t);
      if (pixel < 0) continue;
      const T* const from = x.data() + pixel * x.outerStride();
      if (first) {
        std::copy_n(from, x.cols(), best);
        std::fill_n(chosen, x.cols(), static_cast<T>(t));
        first = false;
      } else {
        take_larger(x.cols(), from, static_cast<T>(t), best, chosen);
      }
    }
    if (choice == nullptr) return;
    std::uint8_t* const bytes = choice->data() + row * x.cols();
    for (Index c = 0; c < x.cols(); ++c) bytes[c] = static_cast<std::uint8_t>(chosen[c]);
  });
}

}  // namespace detail

/// Computes y (pixels, C): of each window of x (in.rows(), C) the largest element of each channel.
/// Pixels outside of the image are no elements. y is no part of x. Throws ShapeError, and
/// ConfigError for a window of more than 256 pixels, with padding of more than half of it, or with
/// a dilation or a padding_mode. As PyTorch's MaxPool2d.
template <class T>
void max_pooling(ConstMatrixRef<T> x, const ImageShape& in, const Window& window, Output<T> y) {
  detail::max_pooling<T>(x, in, window, y, nullptr);
}

/// Does the same, and says in `choice` which pixels those are.
template <class T>
void max_pooling(ConstMatrixRef<T> x, const ImageShape& in, const Window& window, Output<T> y,
                 MaxPoolingChoice& choice) {
  detail::max_pooling<T>(x, in, window, y, &choice);
}

/// Computes the gradient dx (in.rows(), C) of max_pooling's input from dy (pixels, C), which goes
/// to the chosen pixels. dx is no part of dy. Throws ShapeError.
template <class T>
void max_pooling_backward(ConstMatrixRef<T> dy, const MaxPoolingChoice& choice,
                          const ImageShape& in, const Window& window, Output<T> dx) {
  constexpr const char* where = "max_pooling_backward";
  const ImageShape out = output_shape(window, in, where);
  require_pixels(dy, out, dy.cols(), where, "dy");
  require_shape(choice, dy.rows(), dy.cols(), where, "choice");
  MatrixRef<T> to = dx.shaped(in.rows(), dy.cols(), where, "dx", {dy});
  // Windows overlap: images are shared out, the windows of one in their order.
  const kernels::PixelTaps taps = kernels::window_taps(window, in, out);
  const Index places = out.height * out.width, pixels = in.height * in.width;
  const double work = 16 * static_cast<double>(dy.rows()) * static_cast<double>(dy.cols());
  parallel_for(in.images, threads_for(in.images, work), [&](Index image) {
    to.middleRows(image * pixels, pixels).setZero();
    for (Index row = image * places; row < (image + 1) * places; ++row) {
      const auto place = taps.place(row);
      for (Index c = 0; c < dy.cols(); ++c) to(taps.pixel(place, choice(row, c)), c) += dy(row, c);
    }
  });
}

}  // namespace lora
