#pragma once

#include <cstdint>

#include "lora/images/image.hpp"

namespace lora::images {

/// A rectangle of an image, in pixels.
struct ImagePart {
  Index top = 0;
  Index left = 0;
  Index height = 0;
  Index width = 0;
};

/// Throws ShapeError, naming `where`, unless the part has pixels and lies within an image of that
/// height and width.
inline void require_part(const ImagePart& part, Index height, Index width, const char* where) {
  const auto lies_within = [](Index begin, Index size, Index all) {
    return begin >= 0 && size >= 1 && size <= all && begin <= all - size;
  };
  if (!lies_within(part.top, part.height, height) || !lies_within(part.left, part.width, width))
    throw ShapeError(message(where, ": the part is ", part.height, " x ", part.width, " from (",
                             part.top, ", ", part.left, "), expected one of an image of ", height,
                             " x ", width));
}

/// Returns a part of an image. Throws ShapeError for one that it does not have.
[[nodiscard]] inline Image crop(const ImageView& image, const ImagePart& part) {
  require_part(part, image.height(), image.width(), "crop");
  Image result{{}, part.height, part.width, image.channels()};
  for (Index y = 0; y < part.height; ++y) {
    const std::uint8_t* const row = image.pixel(part.top + y, part.left);
    result.bytes.insert(result.bytes.end(), row, row + part.width * image.channels());
  }
  return result;
}

}  // namespace lora::images
