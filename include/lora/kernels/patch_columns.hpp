#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/kernels/left_source.hpp"
#include "lora/kernels/pixel_taps.hpp"

namespace lora::kernels {

/// The patches of images, transposed: the left side (taps * channels, places) of a product, row (t,
/// c) the channel c of what tap t reads of every place, zeros outside of the image; or of `count`
/// places from `first` on alone. `image` is (pixels, channels), one row a pixel. See PatchRows.
template <class T>
class PatchColumns {
 public:
  PatchColumns(const ConstMatrixRef<T>& image, const PixelTaps& taps)
      : PatchColumns(image, taps, 0, taps.rows()) {}

  PatchColumns(const ConstMatrixRef<T>& image, const PixelTaps& taps, Index first, Index count)
      : image_(image), taps_(taps), first_(first), count_(count) {}

  [[nodiscard]] Index rows() const { return taps_.taps() * image_.cols(); }
  [[nodiscard]] Index depth() const { return count_; }

  void pack(const LeftRequest& request, T* out) const {
    const Index channels = image_.cols();
    // Runs of rows of one tap.
    for (Index i = 0; i < request.rows;) {
      const Index tap = (request.row + i) / channels, channel = (request.row + i) % channels;
      const Index run = std::min(channels - channel, request.rows - i);
      pack_tap(request, tap, channel, run, out + i);
      i += run;
    }
  }

 private:
  // Writes `run` channels of a tap, for one place after the other, `request.rows` apart.
  void pack_tap(const LeftRequest& request, Index tap, Index channel, Index run, T* out) const {
    Index k = 0;
    while (k < request.depth) {
      // The rest of a row of places.
      const Index number = first_ + request.depth_begin + k;
      const auto place = taps_.place(number);
      const Index beside = std::min(taps_.x.places - number % taps_.x.places, request.depth - k);
      const Index y = place.y + tap / taps_.x.taps * taps_.y.direction;
      const Index x = place.x + tap % taps_.x.taps * taps_.x.direction;
      const bool inside = y >= 0 && y < taps_.y.pixels;
      const Index first = place.image + y * taps_.x.pixels;
      for (Index j = 0; j < beside; ++j) {
        const Index column = x + j * taps_.x.step;
        T* const to = out + (k + j) * request.rows;
        if (inside && column >= 0 && column < taps_.x.pixels)
          std::copy_n(image_.data() + (first + column) * image_.outerStride() + channel, run, to);
        else
          std::fill_n(to, run, T(0));
      }
      k += beside;
    }
  }

  ConstMatrixRef<T> image_;
  PixelTaps taps_;
  Index first_;
  Index count_;
};

}  // namespace lora::kernels
