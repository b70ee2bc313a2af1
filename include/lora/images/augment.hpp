#pragma once

#include <algorithm>
#include <cstdint>

#include "lora/core/image_shape.hpp"
#include "lora/core/output.hpp"
#include "lora/random/random.hpp"

namespace lora::images {

/// How images are changed at random in training, each in its own way.
struct Augmentation {
  bool flip = true;   ///< left and right, half of the time
  Index padding = 0;  ///< moves by up to so many pixels in each direction, zeros moving in
};

/// Writes the images x (size.rows(), channels) to y, flipped and moved as `how` says: a function of
/// (seed, step, number of the image in the batch), whatever the number of threads. y is no part of
/// x. Throws ConfigError for a negative padding, ShapeError.
template <class T>
void augment(ConstMatrixRef<T> x, const ImageShape& size, const Augmentation& how,
             std::uint64_t seed, std::uint64_t step, Output<T> y) {
  constexpr const char* where = "augment";
  if (how.padding < 0)
    throw ConfigError(message(where, ": padding is ", how.padding, ", expected at least 0"));
  require_pixels(x, size, x.cols(), where, "x");
  MatrixRef<T> to = y.shaped(x.rows(), x.cols(), where, "y", {x});
  const Random random(seed, RandomStream::augmentation);
  const auto choices = static_cast<std::uint64_t>(2 * how.padding + 1);
  for (Index image = 0; image < size.images; ++image) {
    const auto draw = [&](std::uint64_t bound, std::uint64_t which) {
      return static_cast<Index>(
          random.below(bound, step, static_cast<std::uint64_t>(image) * 3 + which));
    };
    const bool flipped = draw(2, 0) == 1 && how.flip;
    const Index down = draw(choices, 1) - how.padding, right = draw(choices, 2) - how.padding;
    const Index first = image * size.height * size.width;
    for (Index i = 0; i < size.height; ++i)
      for (Index j = 0; j < size.width; ++j) {
        const Index from_y = i + down, column = flipped ? size.width - 1 - j : j;
        const Index from_x = column + right, row = first + i * size.width + j;
        if (from_y < 0 || from_y >= size.height || from_x < 0 || from_x >= size.width)
          to.row(row).setZero();
        else
          to.row(row) = x.row(first + from_y * size.width + from_x);
      }
  }
}

}  // namespace lora::images
