#pragma once

#include "lora/core/image_shape.hpp"
#include "lora/core/matrix.hpp"

namespace lora {

/// The window of a convolution or a pooling: its size, the pixels between two of its places, and
/// the pixels around the image that count as zeros (as less than all others, in a pooling).
struct Window {
  Index kernel_height = 1;
  Index kernel_width = 1;
  Index stride_height = 1;
  Index stride_width = 1;
  Index padding_height = 0;
  Index padding_width = 0;

  /// Returns a window that is the same in both directions.
  [[nodiscard]] static Window square(Index kernel, Index stride = 1, Index padding = 0) {
    return {kernel, kernel, stride, stride, padding, padding};
  }

  /// Returns the number of its pixels.
  [[nodiscard]] Index taps() const { return kernel_height * kernel_width; }

  /// Tells whether each result depends on the pixel of its own place alone.
  [[nodiscard]] bool is_pointwise() const { return *this == Window{}; }

  friend bool operator==(const Window&, const Window&) = default;
};

/// Throws ConfigError, naming `where`, unless kernel and stride are at least 1 and the padding at
/// least 0.
template <class Where>
void validate(const Window& window, const Where& where) {
  const auto at_least = [&](Index height, Index width, Index least, const char* what) {
    if (height < least || width < least)
      throw ConfigError(
          message(where, ": ", what, " is ", height, " x ", width, ", expected at least ", least));
  };
  at_least(window.kernel_height, window.kernel_width, 1, "kernel_size");
  at_least(window.stride_height, window.stride_width, 1, "stride");
  at_least(window.padding_height, window.padding_width, 0, "padding");
}

/// Returns the size of the result for images of size `in`: floor((in + 2 padding - kernel) /
/// stride) + 1 in each direction, as PyTorch's Conv2d. Throws ShapeError, naming `where`, for
/// images that are smaller than the kernel.
template <class Where>
[[nodiscard]] ImageShape output_shape(const Window& window, const ImageShape& in,
                                      const Where& where) {
  const Index high = in.height + 2 * window.padding_height - window.kernel_height;
  const Index wide = in.width + 2 * window.padding_width - window.kernel_width;
  if (high < 0 || wide < 0)
    throw ShapeError(message(where, ": images of ", in.height, " x ", in.width,
                             " pixels, with padding of ", window.padding_height, " x ",
                             window.padding_width, ", are smaller than the kernel of ",
                             window.kernel_height, " x ", window.kernel_width));
  return {in.images, high / window.stride_height + 1, wide / window.stride_width + 1};
}

}  // namespace lora
