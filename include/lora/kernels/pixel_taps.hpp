#pragma once

#include <algorithm>

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

/// Returns the taps of a convolution's result, (out.rows()) places over images of size `in`. Tap t
/// is kernel element (t / kernel_width, t % kernel_width).
[[nodiscard]] inline PixelTaps window_taps(const Window& window, const ImageShape& in,
                                           const ImageShape& out) {
  return {
      in.images,
      {out.height, in.height, window.stride_height, -window.padding_height, 1,
       window.kernel_height},
      {out.width, in.width, window.stride_width, -window.padding_width, 1, window.kernel_width}};
}

/// The pixels of the input whose y is `y` modulo the stride, and whose x is `x`: those that the
/// same elements of the kernel reach.
struct Phase {
  Phase(const Window& window, const ImageShape& in, const ImageShape& out, Index phase_y,
        Index phase_x)
      : begin_y(phase_y), begin_x(phase_x), size(in) {
    first_y = (phase_y + window.padding_height) % window.stride_height;
    first_x = (phase_x + window.padding_width) % window.stride_width;
    step_y = window.stride_height;
    step_x = window.stride_width;
    kernel_width = window.kernel_width;
    const auto axis = [](Index pixels, Index begin, Index step, Index kernel, Index first,
                         Index padding, Index results) {
      const auto every = [&](Index from, Index to) {
        return from < to ? (to - from + step - 1) / step : 0;
      };
      return TapAxis{every(begin, pixels), results, 1, (begin + padding - first) / step, -1,
                     every(first, kernel)};
    };
    taps = {in.images,
            axis(in.height, phase_y, step_y, window.kernel_height, first_y, window.padding_height,
                 out.height),
            axis(in.width, phase_x, step_x, window.kernel_width, first_x, window.padding_width,
                 out.width)};
  }

  /// Returns the kernel element that tap t is, counted row by row.
  [[nodiscard]] Index kernel_tap(Index t) const {
    const Index ky = first_y + t / taps.x.taps * step_y, kx = first_x + t % taps.x.taps * step_x;
    return ky * kernel_width + kx;
  }

  /// Returns which pixel of the input place `row` is.
  [[nodiscard]] Index input_row(Index row) const {
    const Index per_image = taps.y.places * taps.x.places;
    const Index rest = row % per_image;
    return row / per_image * size.height * size.width +
           (begin_y + rest / taps.x.places * step_y) * size.width + begin_x +
           rest % taps.x.places * step_x;
  }

  Index begin_y, begin_x;
  Index first_y = 0, first_x = 0;  // the first kernel element that reaches these pixels
  Index step_y = 1, step_x = 1;
  Index kernel_width = 1;
  ImageShape size;
  PixelTaps taps{};  // from a pixel of the input to those of the result that it has gone to
};

}  // namespace lora::kernels
