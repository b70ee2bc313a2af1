#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lora/core/matrix.hpp"

namespace lora::images {

/// The largest height or width of an image, in pixels.
inline constexpr Index size_limit = 1 << 20;

/// Decoded pixels, not owned: rows from the top, in each the pixels from the left, of each pixel
/// its channels (1: grey; 3: red, green, blue) as bytes.
class ImageView {
 public:
  /// Views `bytes`. Throws ShapeError unless they are height * width * channels, each size is 1 to
  /// size_limit and there are 1 or 3 channels.
  ImageView(std::span<const std::uint8_t> bytes, Index height, Index width, Index channels)
      : bytes_(bytes), height_(height), width_(width), channels_(channels) {
    if (height < 1 || width < 1 || height > size_limit || width > size_limit)
      throw ShapeError(message("an image is ", height, " x ", width, " pixels, expected 1 to ",
                               size_limit, " each"));
    if (channels != 1 && channels != 3)
      throw ShapeError(message("an image has ", channels, " channels, expected 1 or 3"));
    if (static_cast<Index>(bytes.size()) != height * width * channels)
      throw ShapeError(message("an image of ", height, " x ", width, " pixels and ", channels,
                               " channels has ", bytes.size(), " bytes, expected ",
                               height * width * channels));
  }

  [[nodiscard]] Index height() const { return height_; }
  [[nodiscard]] Index width() const { return width_; }
  [[nodiscard]] Index channels() const { return channels_; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }

  /// Returns the channels of a pixel of row y and column x.
  [[nodiscard]] const std::uint8_t* pixel(Index y, Index x) const {
    return bytes_.data() + (y * width_ + x) * channels_;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  Index height_, width_, channels_;
};

/// Decoded pixels that it owns.
struct Image {
  std::vector<std::uint8_t> bytes;
  Index height = 0;
  Index width = 0;
  Index channels = 0;

  /// Throws ShapeError where the sizes do not fit the bytes.
  [[nodiscard]] ImageView view() const { return {bytes, height, width, channels}; }
};

}  // namespace lora::images
