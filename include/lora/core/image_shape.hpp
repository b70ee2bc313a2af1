#pragma once

#include "lora/core/matrix.hpp"

namespace lora {

/// The size of a batch of images that lie as a matrix (images * height * width, channels): one row
/// a pixel, the pixels of an image row by row, the images after one another. It is the memory of
/// PyTorch's channels_last.
struct ImageShape {
  Index images = 1;
  Index height = 1;
  Index width = 1;

  /// Returns the number of pixels, which are the rows of the matrix.
  [[nodiscard]] Index rows() const { return images * height * width; }

  friend bool operator==(const ImageShape&, const ImageShape&) = default;
};

/// Throws ShapeError, naming `where`, unless the sizes of `shape` are 0 or more (height and width 1
/// or more) and x, called `what`, is (shape.rows(), channels).
template <class T, class Where>
void require_pixels(const ConstMatrixRef<T>& x, const ImageShape& shape, Index channels,
                    const Where& where, const char* what) {
  if (shape.images < 0 || shape.height < 1 || shape.width < 1)
    throw ShapeError(message(where, ": there are ", shape.images, " images of ", shape.height,
                             " x ", shape.width, " pixels, expected sizes of at least 1"));
  if (x.rows() != shape.rows() || x.cols() != channels)
    throw ShapeError(message(where, ": ", what, " is ", shape_of(x), ", expected (", shape.rows(),
                             ", ", channels, "): one row for each pixel of ", shape.images,
                             " images of ", shape.height, " x ", shape.width, ", channels last"));
}

}  // namespace lora
