#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lora/images/crop.hpp"
#include "lora/images/image.hpp"
#include "lora/images/resize_filter.hpp"

namespace lora::images {

namespace detail {

inline std::uint8_t rounded(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> LineWeights::precision, 0, 255));
}

// Resizes along one direction: `lines` lines, whose pixels lie `step` bytes apart and which begin
// `line_step` apart; of each pixel `channels` neighbouring bytes.
struct LineLayout {
  Index lines, step, line_step;
};

inline void resize_lines(const std::vector<LineWeights>& line, Index channels,
                         const std::uint8_t* from, const LineLayout& in, std::uint8_t* to,
                         const LineLayout& out) {
  for (Index l = 0; l < out.lines; ++l)
    for (std::size_t i = 0; i < line.size(); ++i)
      for (Index c = 0; c < channels; ++c) {
        std::int32_t sum = 1 << (LineWeights::precision - 1);
        const std::uint8_t* at = from + l * in.line_step + line[i].first * in.step + c;
        for (const std::int32_t weight : line[i].weights) {
          sum += *at * weight;
          at += in.step;
        }
        to[l * out.line_step + static_cast<Index>(i) * out.step + c] = rounded(sum);
      }
}

// Returns which pixel stands for each of `count` from `begin`, adding up steps as Pillow does.
inline std::vector<Index> nearest_pixels(Index in, Index out, Index begin, Index count) {
  std::vector<Index> pixels;
  const double step = static_cast<double>(in) / static_cast<double>(out);
  double at = step * 0.5;
  for (Index i = 0; i < begin + count; ++i, at += step)
    if (i >= begin) pixels.push_back(std::min(in - 1, static_cast<Index>(at)));
  return pixels;
}

}  // namespace detail

/// Returns the image in another size, to the byte as Image.resize of Pillow 13 makes it (its
/// Resample.c): an image that shrinks is filtered over all that a pixel stands for; the columns
/// are made first and rounded to bytes, then the rows, or the rows first where the height shrinks
/// by more than twice the pixels that the width does (which earlier versions do not). Returns
/// `part` of the result, and takes no memory for the rest of it. Throws ShapeError for a size that
/// no image has, and a part that the result does not have. Calls may run at once.
[[nodiscard]] inline Image resize(const ImageView& image, Index height, Index width, Resampling how,
                                  const ImagePart& part) {
  const Index channels = image.channels();
  if (height < 1 || width < 1 || height > size_limit || width > size_limit)
    throw ShapeError(message("resize: the size is ", height, " x ", width, ", expected 1 to ",
                             size_limit, " pixels each"));
  require_part(part, height, width, "resize");
  const bool other_height = height != image.height(), other_width = width != image.width();
  if (!other_height && !other_width) return crop(image, part);
  const auto bytes = [&](Index rows, Index columns) {
    return std::vector<std::uint8_t>(static_cast<std::size_t>(rows * columns * channels));
  };
  if (how == Resampling::nearest) {
    const auto ys = detail::nearest_pixels(image.height(), height, part.top, part.height);
    const auto xs = detail::nearest_pixels(image.width(), width, part.left, part.width);
    Image result{bytes(part.height, part.width), part.height, part.width, channels};
    std::uint8_t* to = result.bytes.data();
    for (const Index y : ys)
      for (const Index x : xs) to = std::copy_n(image.pixel(y, x), channels, to);
    return result;
  }
  // A direction whose size stays is cut once, before: its pixels are made of themselves.
  Image result = crop(image, {other_height ? 0 : part.top, other_width ? 0 : part.left,
                              other_height ? image.height() : part.height,
                              other_width ? image.width() : part.width});
  const auto resize_columns = [&] {
    if (!other_width) return;
    auto next = bytes(result.height, part.width);
    detail::resize_lines(detail::line_weights(how, result.width, width, part.left, part.width),
                         channels, result.bytes.data(),
                         {result.height, channels, result.width * channels}, next.data(),
                         {result.height, channels, part.width * channels});
    result = {std::move(next), result.height, part.width, channels};
  };
  const auto resize_rows = [&] {
    if (!other_height) return;
    // All bytes of a row are neighbours that are treated alike.
    const Index row = result.width * channels;
    auto next = bytes(part.height, result.width);
    detail::resize_lines(detail::line_weights(how, result.height, height, part.top, part.height),
                         row, result.bytes.data(), {1, row, 0}, next.data(), {1, row, 0});
    result = {std::move(next), part.height, result.width, channels};
  };
  const Index lower = image.height() - height, narrower = image.width() - width;
  if (lower > 0 && 2 * narrower < lower) {
    resize_rows();
    resize_columns();
  } else {
    resize_columns();
    resize_rows();
  }
  return result;
}

/// Returns the whole image in another size, likewise.
[[nodiscard]] inline Image resize(const ImageView& image, Index height, Index width,
                                  Resampling how) {
  return resize(image, height, width, how, {0, 0, height, width});
}

}  // namespace lora::images
