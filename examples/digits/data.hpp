#pragma once

#include <cstddef>
#include <cstdint>
#include <lora/lora.hpp>
#include <vector>

namespace digits {

using lora::Index;

/// Holds images, one a row, and what each of them shows.
struct Samples {
  lora::Matrix<float> images;  ///< (N, pixels), 0 (paper) to 1 (ink)
  std::vector<int> labels;     ///< N digits; of a task, counted from its first digit

  [[nodiscard]] Index size() const { return images.rows(); }
};

/// Holds the samples to train on, those to choose settings by, and those to report.
struct Split {
  Samples train, validation, test;
};

/// Returns the samples at positions [first, last) of `order`.
[[nodiscard]] inline Samples pick(const Samples& all, const std::vector<Index>& order, Index first,
                                  Index last) {
  Samples some{lora::Matrix<float>(last - first, all.images.cols()), {}};
  for (Index i = first; i < last; ++i) {
    const Index from = order[static_cast<std::size_t>(i)];
    some.images.row(i - first) = all.images.row(from);
    some.labels.push_back(all.labels[static_cast<std::size_t>(from)]);
  }
  return some;
}

/// Splits samples that come in one piece: 25 % to test, the same whatever the seed is, so that
/// whoever tries settings under other seeds never sees them; 60 % to train and 15 % to validate,
/// by a shuffle of `seed`.
[[nodiscard]] inline Split split(const Samples& all, std::uint64_t seed) {
  constexpr std::uint64_t seed_of_test = 0;
  const std::vector<Index> order = lora::shuffled(all.size(), seed_of_test, 0);
  const Index seen = all.size() * 75 / 100, trained = all.size() * 60 / 100;
  const Samples rest = pick(all, order, 0, seen);
  const std::vector<Index> rest_order = lora::shuffled(seen, seed, 1);
  return {pick(rest, rest_order, 0, trained), pick(rest, rest_order, trained, seen),
          pick(all, order, seen, all.size())};
}

/// Returns the samples that show the digits `first` to `last`, labelled from 0.
[[nodiscard]] inline Samples task(const Samples& all, int first, int last) {
  std::vector<Index> order;
  for (std::size_t i = 0; i < all.labels.size(); ++i)
    if (all.labels[i] >= first && all.labels[i] <= last) order.push_back(static_cast<Index>(i));
  Samples some = pick(all, order, 0, static_cast<Index>(order.size()));
  for (int& label : some.labels) label -= first;
  return some;
}

/// Does the same to each part of a split. Throws lora::FileError if a part has no such digit.
[[nodiscard]] inline Split task(const Split& all, int first, int last) {
  Split some{task(all.train, first, last), task(all.validation, first, last),
             task(all.test, first, last)};
  for (const Samples* part : {&some.train, &some.validation, &some.test})
    if (part->size() == 0)
      throw lora::FileError(lora::message("the data: no image shows a digit from ", first, " to ",
                                          last, " in one of training, validation and test"));
  return some;
}

}  // namespace digits
