#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lora/images/image.hpp"

namespace lora::images {

/// Images of one size, after one another, and the label of each.
struct LabelledImages {
  Index height = 0;
  Index width = 0;
  Index channels = 0;
  std::vector<std::uint8_t> bytes;
  std::vector<int> labels;

  [[nodiscard]] Index size() const { return static_cast<Index>(labels.size()); }

  /// Returns image `i`. Throws ShapeError where there is none.
  [[nodiscard]] ImageView image(Index i) const {
    const Index each = height * width * channels;
    if (i < 0 || i >= size() || static_cast<Index>(bytes.size()) < (i + 1) * each)
      throw ShapeError(message("LabelledImages: image ", i, " of ", size()));
    return {std::span(bytes).subspan(static_cast<std::size_t>(i * each),
                                     static_cast<std::size_t>(each)),
            height, width, channels};
  }
};

}  // namespace lora::images
