#pragma once

#include <cstddef>
#include <cstdint>
#include <lora/core/error.hpp>
#include <lora/random/shuffle.hpp>
#include <utility>
#include <vector>

namespace bert {

/// Holds the sentences to train on, those to choose by, and those to report.
template <class Sentence>
struct Split {
  std::vector<Sentence> train, validation, test;
};

/// Splits sentences 70 : 15 : 15 by one fixed shuffle, for data that nobody has split officially:
/// the same for every run, so that whoever tries settings never sees the test sentences. Throws
/// lora::FileError unless each part gets a sentence.
template <class Sentence>
[[nodiscard]] Split<Sentence> split(std::vector<Sentence> all) {
  constexpr std::uint64_t seed_of_split = 0;
  const auto count = static_cast<lora::Index>(all.size());
  const lora::Index trained = count * 70 / 100, seen = count * 85 / 100;
  if (trained < 1 || seen == trained || count == seen)
    throw lora::FileError(
        lora::message("the data: ", count, " sentences are too few to be split in three"));
  Split<Sentence> parts;
  lora::Index at = 0;
  for (const lora::Index from : lora::shuffled(count, seed_of_split, 0)) {
    auto& part = at < trained ? parts.train : at < seen ? parts.validation : parts.test;
    part.push_back(std::move(all[static_cast<std::size_t>(from)]));
    ++at;
  }
  return parts;
}

}  // namespace bert
