#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <lora/images.hpp>
#include <lora/io/safetensors/safetensors_writer.hpp>
#include <lora/random/shuffle.hpp>
#include <string>
#include <vector>

#include "options.hpp"
#include "photo_folder.hpp"

namespace images_example {

using lora::images::LabelledImages;
using lora::images::Preprocessing;

/// The images of a new task, and those that show what became of the old one.
struct Problem {
  Preprocessing how;                 ///< from their bytes to what the model reads
  lora::images::Augmentation moves;  ///< in training
  std::vector<std::string> classes;  ///< of the new task
  LabelledImages pool;               ///< that each seed draws its few training images from
  LabelledImages test;
  LabelledImages old_train;  ///< empty where the base is given
  LabelledImages old_test;   ///< that shows what became of the old task
  bool old_labelled = true;  ///< whether old_test has labels of the old task, or the base's answers
};

/// Returns `count` images of each of `classes` classes, the first in an order of `seed`. Throws
/// lora::FileError where a class has fewer.
[[nodiscard]] inline LabelledImages draw(const LabelledImages& from, Index count, Index classes,
                                         std::uint64_t seed) {
  std::vector<Index> left(static_cast<std::size_t>(classes), count);
  LabelledImages drawn{from.height, from.width, from.channels, {}, {}};
  for (const Index i : lora::shuffled(from.size(), seed, 0)) {
    const int label = from.labels[static_cast<std::size_t>(i)];
    if (left[static_cast<std::size_t>(label)]-- <= 0) continue;
    const auto image = from.image(i).bytes();
    drawn.bytes.insert(drawn.bytes.end(), image.begin(), image.end());
    drawn.labels.push_back(label);
  }
  for (std::size_t label = 0; label < left.size(); ++label)
    if (left[label] > 0)
      throw lora::FileError(lora::message("class ", label, " has ", count - left[label],
                                          " images to train with, expected ", count));
  return drawn;
}

/// Returns the images of the classes `first` to `last`, labelled from 0 on, at most `most` of each.
[[nodiscard]] inline LabelledImages of_classes(const LabelledImages& all, int first, int last,
                                               Index most) {
  std::vector<Index> left(static_cast<std::size_t>(last - first + 1), most);
  LabelledImages some{all.height, all.width, all.channels, {}, {}};
  for (Index i = 0; i < all.size(); ++i) {
    const int label = all.labels[static_cast<std::size_t>(i)];
    if (label < first || label > last || left[static_cast<std::size_t>(label - first)]-- <= 0)
      continue;
    const auto image = all.image(i).bytes();
    some.bytes.insert(some.bytes.end(), image.begin(), image.end());
    some.labels.push_back(label - first);
  }
  return some;
}

/// Writes images and labels into a safetensors file, for compare_with_peft.py: `images` (N, height,
/// width, channels) and `labels` (N), bytes both. Throws lora::FileError.
inline void save_images(const LabelledImages& all, const std::filesystem::path& path) {
  std::filesystem::create_directories(path.parent_path());
  const auto as_bytes = [](const auto& numbers) {
    std::vector<std::byte> bytes;
    for (const auto number : numbers) bytes.push_back(static_cast<std::byte>(number));
    return bytes;
  };
  lora::io::write_safetensors(
      path, {{"images",
              lora::io::DType::U8,
              {all.size(), all.height, all.width, all.channels},
              as_bytes(all.bytes)},
             {"labels", lora::io::DType::U8, {all.size()}, as_bytes(all.labels)}});
}

/// Reads Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017): the classes 0 to 4 are the old task, 5 to
/// 9 the new one. Throws lora::FileError.
[[nodiscard]] inline Problem fashion_problem(const Options& options) {
  const std::filesystem::path folder = options.fashion;
  const LabelledImages train = lora::images::read_idx_images(folder / "train-images-idx3-ubyte",
                                                             folder / "train-labels-idx1-ubyte");
  const LabelledImages test = lora::images::read_idx_images(folder / "t10k-images-idx3-ubyte",
                                                            folder / "t10k-labels-idx1-ubyte");
  for (const LabelledImages* images : {&train, &test})
    for (const int label : images->labels)
      if (label > 9)
        throw lora::FileError(
            lora::message(folder.string(), ": a label is ", label, ", expected 0 to 9"));
  constexpr Index all = 1'000'000;
  Problem problem{.how = {.fitting = lora::images::Fitting::none,
                          .height = train.height,
                          .width = train.width,
                          .mean = {0.286},
                          .std = {0.353}},
                  .moves = {.flip = true, .padding = 2},
                  .classes = {"sandal", "shirt", "sneaker", "bag", "ankle boot"},
                  .pool = of_classes(train, 5, 9, all),
                  .test = of_classes(test, 5, 9, options.test_images),
                  .old_train = {},
                  .old_test = of_classes(test, 0, 4, options.test_images)};
  if (options.model.empty()) {
    const Index each = std::max<Index>(1, options.base_images / 5);
    problem.old_train = draw(of_classes(train, 0, 4, all), each, 5, options.seed);
  }
  return problem;
}

/// Reads photographs for the model in options.model: of each class options.shots to train with and
/// of the others up to options.test_images to test, in an order of options.seed. What became of the
/// old task is then told by how many test images still get the base's own answer. Throws
/// lora::FileError, also for a class of too few photographs.
[[nodiscard]] inline Problem photo_problem(const Options& options, const Preprocessing& how,
                                           const std::function<void()>& is_read) {
  if (how.fitting == lora::images::Fitting::none)
    throw lora::FileError(options.model +
                          ": its preprocessor_config.json does not say to which size photographs "
                          "are brought");
  photos::PhotoFiles files = photos::list_photos(options.data);
  for (std::size_t label = 0; label < files.files.size(); ++label) {
    auto& of_class = files.files[label];
    const auto found = static_cast<Index>(of_class.size());
    if (found <= options.shots)
      throw lora::FileError(lora::message(
          (std::filesystem::path(options.data) / files.classes[label]).string(), ": has ", found,
          " photographs, expected more than the ", options.shots, " to train with (--shots)"));
    std::vector<std::filesystem::path> shuffled;
    for (const Index i : lora::shuffled(found, options.seed, label))
      shuffled.push_back(of_class[static_cast<std::size_t>(i)]);
    of_class = std::move(shuffled);
  }
  const auto shots = static_cast<std::size_t>(options.shots);
  Problem problem{.how = how,
                  .moves = {.flip = true, .padding = how.height / 28},
                  .classes = files.classes,
                  .pool = photos::read_photos(files, 0, shots, how, is_read),
                  .test = photos::read_photos(
                      files, shots, static_cast<std::size_t>(options.test_images), how, is_read),
                  .old_train = {},
                  .old_test = {},
                  .old_labelled = false};
  problem.old_test = problem.test;
  return problem;
}

}  // namespace images_example
