#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/matrix.hpp"
#include "lora/random/shuffle.hpp"

namespace lora::train {

/// How data that nobody has split officially is split; the rest is for the test.
struct SplitOptions {
  int train_percent = 70;
  int validation_percent = 15;
  std::uint64_t seed = 0;  ///< of the shuffle: leave it, so that no run sees another's test data
};

/// The examples to train on, those to choose settings by, and those to report.
template <class Example>
struct Split {
  std::vector<Example> train, validation, test;
};

/// Splits examples by one shuffle, a function of options.seed alone: whoever tries settings under
/// other training seeds never sees the test examples. Throws ConfigError for percentages that leave
/// nothing for a part, and FileError where there are too few examples for each part to get one.
template <class Example>
[[nodiscard]] Split<Example> split(std::vector<Example> all, const SplitOptions& options = {}) {
  if (options.train_percent < 1 || options.validation_percent < 1 ||
      options.train_percent >= 100 - options.validation_percent)
    throw ConfigError(message("split: ", options.train_percent, " % to train and ",
                              options.validation_percent,
                              " % to validate, expected at least 1 % for each part and the test"));
  const auto count = static_cast<Index>(all.size());
  const Index trained = count * options.train_percent / 100;
  const Index seen = count * (options.train_percent + options.validation_percent) / 100;
  if (trained < 1 || seen == trained || count == seen)
    throw FileError(message("the data: ", count, " examples are too few to be split in three"));
  Split<Example> parts;
  Index at = 0;
  for (const Index from : shuffled(count, options.seed, 0)) {
    auto& part = at < trained ? parts.train : at < seen ? parts.validation : parts.test;
    part.push_back(std::move(all[static_cast<std::size_t>(from)]));
    ++at;
  }
  return parts;
}

}  // namespace lora::train
