#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/output.hpp"
#include "lora/images/crop.hpp"
#include "lora/images/image.hpp"
#include "lora/images/resize.hpp"

namespace lora::images {

/// The way in which an image gets the size that a model wants.
enum class Fitting {
  crop,  ///< the shorter side becomes size / crop_fraction, and the middle is cut out
  warp,  ///< both sides become size, whatever the image's proportions
  none,  ///< it has the size, or the model takes any
};

/// Where the middle of an image begins if there is no such pixel.
enum class CropRounding {
  down,     ///< transformers
  nearest,  ///< torchvision and timm; of two as near, the even one
};

/// What is done to a decoded image before a model reads it: what a preprocessor_config.json says.
/// The defaults are those of microsoft/resnet-50.
struct Preprocessing {
  Fitting fitting = Fitting::crop;
  Index height = 224;  ///< for Fitting::crop both are the same
  Index width = 224;
  double crop_fraction = 0.875;
  CropRounding crop_rounding = CropRounding::down;
  Resampling resample = Resampling::bicubic;
  double rescale_factor = 1 / 255.0;
  std::vector<double> mean = {0.485, 0.456, 0.406};  ///< for each channel, or empty: 0
  std::vector<double> std = {0.229, 0.224, 0.225};   ///< likewise: 1
};

/// Throws ConfigError, naming `where`, for numbers that nothing can be done with.
template <class Where>
void validate(const Preprocessing& how, const Where& where) {
  if (how.height < 1 || how.width < 1 || how.height > size_limit || how.width > size_limit)
    throw ConfigError(message(where, ": the size is ", how.height, " x ", how.width,
                              ", expected 1 to ", size_limit, " pixels each"));
  if (how.fitting == Fitting::crop && how.height != how.width)
    throw ConfigError(message(where, ": the size is ", how.height, " x ", how.width,
                              ", expected a square to crop"));
  if (!(how.crop_fraction > 0 && how.crop_fraction <= 1))
    throw ConfigError(
        message(where, ": crop_pct is ", how.crop_fraction, ", expected above 0, at most 1"));
  for (const double number : how.mean)
    if (!is_finite(number)) throw ConfigError(message(where, ": image_mean is no finite number"));
  for (const double number : how.std)
    if (!is_finite(number) || !(number > 0))
      throw ConfigError(message(where, ": image_std is ", number, ", expected above 0"));
  if (!is_finite(how.rescale_factor))
    throw ConfigError(message(where, ": rescale_factor is no finite number"));
  // What a byte becomes must be a number in float as well.
  double largest = 0, smallest = how.std.empty() ? 1 : how.std[0];
  for (const double number : how.mean) largest = std::max(largest, std::abs(number));
  for (const double number : how.std) smallest = std::min(smallest, number);
  constexpr double most = 1e30;
  if (!(255 * std::abs(how.rescale_factor) + largest <= most * smallest))
    throw ConfigError(message(where, ": rescale_factor is ", how.rescale_factor,
                              ", image_mean up to ", largest, " and image_std down to ", smallest,
                              ", which makes numbers above ", most));
}

namespace detail {

inline ImagePart middle(Index all_height, Index all_width, Index height, Index width,
                        CropRounding rounding) {
  const auto begin = [&](Index beside) {
    const Index half = beside / 2;
    return rounding == CropRounding::nearest && beside % 2 == 1 ? half + half % 2 : half;
  };
  return {begin(all_height - height), begin(all_width - width), height, width};
}

}  // namespace detail

/// Returns the middle of an image, height x width pixels, which it has. Throws ShapeError.
[[nodiscard]] inline Image center_crop(const ImageView& image, Index height, Index width,
                                       CropRounding rounding = CropRounding::down) {
  if (height < 1 || width < 1 || height > image.height() || width > image.width())
    throw ShapeError(message("center_crop: the size is ", height, " x ", width,
                             ", expected 1 to the ", image.height(), " x ", image.width(),
                             " of the image"));
  return crop(image, detail::middle(image.height(), image.width(), height, width, rounding));
}

/// Returns the image in the size that the model wants, still bytes. Throws ShapeError and
/// ConfigError. As transformers' ConvNextImageProcessor (5.24), whose long side is rounded down.
[[nodiscard]] inline Image fit(const ImageView& image, const Preprocessing& how) {
  validate(how, "Preprocessing");
  const Index h = image.height(), w = image.width();
  if (how.fitting == Fitting::none) return resize(image, h, w, how.resample);
  if (how.fitting == Fitting::warp) return resize(image, how.height, how.width, how.resample);
  // Of a fraction near zero more than any image has, which resize refuses.
  const auto shorter = static_cast<Index>(std::min(
      static_cast<double>(how.height) / how.crop_fraction, static_cast<double>(2 * size_limit)));
  const Index longer = shorter * std::max(h, w) / std::min(h, w);
  const Index height = h <= w ? shorter : longer, width = h <= w ? longer : shorter;
  // The middle alone: of a long image, or where crop_fraction is small, the rest is most of it.
  return resize(image, height, width, how.resample,
                detail::middle(height, width, how.height, how.width, how.crop_rounding));
}

/// Writes the pixels of an image that fits to x (height * width, channels), one row a pixel:
/// x = (byte * rescale_factor - mean) / std. Throws ShapeError unless mean and std are for as many
/// channels as the image has.
template <class T>
void normalize(const ImageView& image, const Preprocessing& how, Output<T> x) {
  const Index channels = image.channels();
  for (const auto& [numbers, what] :
       {std::pair{&how.mean, "image_mean"}, std::pair{&how.std, "image_std"}})
    if (!numbers->empty() && static_cast<Index>(numbers->size()) != channels)
      throw ShapeError(message("normalize: ", what, " is for ", numbers->size(),
                               " channels, the image has ", channels));
  MatrixRef<T> to = x.shaped(image.height() * image.width(), channels, "normalize", "x");
  for (Index c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double mean = how.mean.empty() ? 0 : how.mean[i], std = how.std.empty() ? 1 : how.std[i];
    const T scale = static_cast<T>(how.rescale_factor / std), shift = static_cast<T>(-mean / std);
    const std::uint8_t* const from = image.bytes().data() + c;
    for (Index row = 0; row < to.rows(); ++row)
      to(row, c) = static_cast<T>(from[row * channels]) * scale + shift;
  }
}

/// Fits the image and writes its pixels to x, (height * width, channels) of `how`. Calls may run at
/// once. Throws as fit and normalize.
template <class T>
void preprocess(const ImageView& image, const Preprocessing& how, Output<T> x) {
  normalize<T>(fit(image, how).view(), how, x);
}

}  // namespace lora::images
