#pragma once

#include "lora/core/image_shape.hpp"
#include "lora/core/matrix.hpp"

namespace lora::models {

/// A batch of images of one size: pixels (size.rows(), channels), one row a pixel.
template <class T>
struct ImageBatch {
  ImageShape size;
  Matrix<T> pixels;
};

}  // namespace lora::models
