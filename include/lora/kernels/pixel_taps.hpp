#pragma once

#include <numeric>

#include "lora/core/image_shape.hpp"
#include "lora/core/matrix.hpp"
#include "lora/kernels/window.hpp"

namespace lora::kernels {

/// One direction of PixelTaps: tap t of place g reads the pixel g * step + offset + t * direction,
/// if that is in [0, pixels).
struct TapAxis {
  Index places;
  Index pixels;
  Index step;
  Index offset;
  Index direction;
  Index taps;

  /// Returns the pixel that the first tap of place `place` reads, inside of the image or not.
  [[nodiscard]] Index first(Index place) const { return place * step + offset; }
};

/// Which pixels of images a convolution sums over, for each of a grid of places and each tap of its
/// kernel: for the places of the result, or backwards, for the pixels of the input.
struct PixelTaps {
  Index images;
  TapAxis y;
  TapAxis x;

  /// A place, by the pixel that its first tap reads.
  struct Place {
    Index image;  // its first pixel
    Index y;
    Index x;
  };

  [[nodiscard]] Index rows() const { return images * y.places * x.places; }
  [[nodiscard]] Index taps() const { return y.taps * x.taps; }

  /// Tells whether each place is the pixel that it reads.
  [[nodiscard]] bool is_identity() const {
    const auto same = [](const TapAxis& axis) {
      return axis.taps == 1 && axis.places == axis.pixels && axis.step == 1 && axis.offset == 0;
    };
    return same(y) && same(x);
  }

  /// Returns place number `row`.
  [[nodiscard]] Place place(Index row) const {
    const Index per_image = y.places * x.places;
    const Index image = row / per_image, rest = row % per_image;
    return {image * y.pixels * x.pixels, y.first(rest / x.places), x.first(rest % x.places)};
  }

  /// Returns the pixel, counted over all images, that `tap` of `place` reads, or -1 outside of the
  /// image.
  [[nodiscard]] Index pixel(const Place& place, Index tap) const {
    const Index py = place.y + tap / x.taps * y.direction;
    const Index px = place.x + tap % x.taps * x.direction;
    const bool inside = py >= 0 && py < y.pixels && px >= 0 && px < x.pixels;
    return inside ? place.image + py * x.pixels + px : -1;
  }
};

/// Returns the taps of a convolution's result, (out.rows()) places over images of size `in`, around
/// which zeros stand. Tap t is kernel element (t / kernel_width, t % kernel_width).
[[nodiscard]] inline PixelTaps window_taps(const Window& window, const ImageShape& in,
                                           const ImageShape& out) {
  return {in.images,
          {out.height, in.height, window.stride_height, -window.padding_height,
           window.dilation_height, window.kernel_height},
          {out.width, in.width, window.stride_width, -window.padding_width, window.dilation_width,
           window.kernel_width}};
}

/// One direction of a Phase: the pixels of the input that are `begin` modulo the stride.
struct PhaseAxis {
  /// Finds the kernel elements that reach them: element k reaches pixel i from the place (i +
  /// padding - k dilation) / stride, where that is a whole number.
  PhaseAxis(Index first_pixel, Index pixels, Index places, Index kernel, Index stride,
            Index padding, Index dilation)
      : begin(first_pixel), step(stride) {
    const Index common = std::gcd(stride, dilation);
    kernel_step = stride / common;
    while (kernel_first < kernel_step && (begin + padding - kernel_first * dilation) % stride != 0)
      ++kernel_first;
    // No element at all where kernel_step of them were tried.
    const Index end = kernel_first < kernel_step ? kernel : kernel_first;
    const auto every = [](Index from, Index to, Index by) {
      return from < to ? (to - from + by - 1) / by : 0;
    };
    const Index offset = (begin + padding - kernel_first * dilation) / stride;
    taps = {every(begin, pixels, step),           places, 1, offset, -dilation / common,
            every(kernel_first, end, kernel_step)};
  }

  Index begin;
  Index step;
  Index kernel_first = 0;  // the first kernel element that reaches these pixels,
  Index kernel_step = 1;   // and from one to the next
  TapAxis taps{};          // from a pixel of the input to those of the result that it has gone to
};

/// The pixels of the input whose y is `y` modulo the stride, and whose x is `x`: those that the
/// same elements of the kernel reach.
struct Phase {
  Phase(const Window& window, const ImageShape& in, const ImageShape& out, Index phase_y,
        Index phase_x)
      : y(phase_y, in.height, out.height, window.kernel_height, window.stride_height,
          window.padding_height, window.dilation_height),
        x(phase_x, in.width, out.width, window.kernel_width, window.stride_width,
          window.padding_width, window.dilation_width),
        kernel_width(window.kernel_width),
        size(in),
        taps{in.images, y.taps, x.taps} {}

  /// Returns the kernel element that tap t is, counted row by row.
  [[nodiscard]] Index kernel_tap(Index t) const {
    const Index ky = y.kernel_first + t / taps.x.taps * y.kernel_step;
    return ky * kernel_width + x.kernel_first + t % taps.x.taps * x.kernel_step;
  }

  /// Returns which pixel of the input place `row` is.
  [[nodiscard]] Index input_row(Index row) const {
    const Index per_image = taps.y.places * taps.x.places;
    const Index rest = row % per_image;
    return row / per_image * size.height * size.width +
           (y.begin + rest / taps.x.places * y.step) * size.width + x.begin +
           rest % taps.x.places * x.step;
  }

  PhaseAxis y, x;
  Index kernel_width;
  ImageShape size;
  PixelTaps taps;
};

}  // namespace lora::kernels
