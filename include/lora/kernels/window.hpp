#pragma once

#include "lora/core/image_shape.hpp"
#include "lora/core/matrix.hpp"

namespace lora {

/// The numbers that stand around an image: PyTorch's padding_mode.
enum class PaddingMode {
  zeros,      ///< zeros
  reflect,    ///< the image, mirrored at its outermost pixels, which are not repeated
  replicate,  ///< the outermost pixels
  circular,   ///< the image again, from its other side
};

/// The window of a convolution or a pooling: its size (kernel), the pixels from one of its places
/// to the next (stride) and from one of its elements to the next (dilation), and the pixels around
/// the image (padding). Those are what padding_mode says; in a pooling they are less than all
/// others.
struct Window {
  Index kernel_height = 1;
  Index kernel_width = 1;
  Index stride_height = 1;
  Index stride_width = 1;
  Index padding_height = 0;
  Index padding_width = 0;
  Index dilation_height = 1;
  Index dilation_width = 1;
  PaddingMode padding_mode = PaddingMode::zeros;

  /// Returns a window that is the same in both directions.
  [[nodiscard]] static Window square(Index kernel, Index stride = 1, Index padding = 0,
                                     Index dilation = 1, PaddingMode mode = PaddingMode::zeros) {
    return {kernel, kernel, stride, stride, padding, padding, dilation, dilation, mode};
  }

  /// Returns the number of its pixels.
  [[nodiscard]] Index taps() const { return kernel_height * kernel_width; }

  /// Returns the rows, or columns, of pixels that it spans from its first to its last.
  [[nodiscard]] Index height() const { return dilation_height * (kernel_height - 1) + 1; }
  [[nodiscard]] Index width() const { return dilation_width * (kernel_width - 1) + 1; }

  /// Tells whether each result depends on the pixel of its own place alone.
  [[nodiscard]] bool is_pointwise() const { return *this == Window{}; }

  friend bool operator==(const Window&, const Window&) = default;
};

/// Throws ConfigError, naming `where`, unless kernel, stride and dilation are at least 1 and the
/// padding at least 0.
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
  at_least(window.dilation_height, window.dilation_width, 1, "dilation");
}

/// Returns the size of the result for images of size `in`: floor((in + 2 padding - dilation (kernel
/// - 1) - 1) / stride) + 1 in each direction, as PyTorch's Conv2d. Throws ShapeError, naming
/// `where`, for images that are smaller than the window, and for those that are too small to be
/// mirrored or repeated for the padding.
template <class Where>
[[nodiscard]] ImageShape output_shape(const Window& window, const ImageShape& in,
                                      const Where& where) {
  const auto refuse = [&](const char* what, Index height, Index width) {
    throw ShapeError(message(where, ": images of ", in.height, " x ", in.width,
                             " pixels, with padding of ", window.padding_height, " x ",
                             window.padding_width, ", are smaller than ", what, " of ", height,
                             " x ", width));
  };
  const Index high = in.height + 2 * window.padding_height - window.height();
  const Index wide = in.width + 2 * window.padding_width - window.width();
  if (high < 0 || wide < 0) refuse("the kernel", window.height(), window.width());
  const bool mirrors = window.padding_mode == PaddingMode::reflect;
  if (mirrors || window.padding_mode == PaddingMode::circular) {
    const Index height = window.padding_height + (mirrors ? 1 : 0);
    const Index width = window.padding_width + (mirrors ? 1 : 0);
    if (in.height < height || in.width < width)
      refuse(mirrors ? "what is mirrored," : "what is repeated,", height, width);
  }
  return {in.images, high / window.stride_height + 1, wide / window.stride_width + 1};
}

}  // namespace lora
