#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <lora/core/error.hpp>
#include <lora/text.hpp>
#include <lora/train/split.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace ner {

using lora::data::TaggedSentence;

/// A data set, and who split it.
struct Data {
  lora::train::Split<TaggedSentence> split;
  bool official = false;  ///< split by who published it, not by a shuffle
};

/// The files of WNUT 2017 as they were published: training, development, test.
inline constexpr std::array<const char*, 3> wnut17_files{"wnut17train.conll", "emerging.dev.conll",
                                                         "emerging.test.annotated"};

/// The file of wikigold.
inline constexpr const char* wikigold_file = "wikigold.conll.txt";

/// Reads a folder with the three files of WNUT 2017, whose split is official, or with wikigold's
/// one, or a single file of CoNLL columns; these are split. Throws lora::FileError.
[[nodiscard]] inline Data read_data(const std::filesystem::path& data) {
  if (!std::filesystem::is_directory(data))
    return {lora::train::split(lora::data::read_conll(data)), false};
  if (std::filesystem::exists(data / wnut17_files[0])) {
    lora::train::Split<TaggedSentence> parts;
    std::vector<TaggedSentence>* const into[] = {&parts.train, &parts.validation, &parts.test};
    for (std::size_t i = 0; i < wnut17_files.size(); ++i) {
      *into[i] = lora::data::read_conll(data / wnut17_files[i]);
      if (into[i]->empty())
        throw lora::FileError((data / wnut17_files[i]).string() + ": has no sentence");
    }
    return {std::move(parts), true};
  }
  if (std::filesystem::exists(data / wikigold_file))
    return {lora::train::split(lora::data::read_conll(data / wikigold_file)), false};
  throw lora::FileError(
      lora::message(data.string(), ": has neither ", wnut17_files[0], " nor ", wikigold_file));
}

/// Lists the tags of the sentences, "O" first and the others in alphabetical order: the classes of
/// the head.
[[nodiscard]] inline std::vector<std::string> tags_of(
    const std::vector<TaggedSentence>& sentences) {
  std::set<std::string> seen;
  for (const TaggedSentence& sentence : sentences)
    seen.insert(sentence.tags.begin(), sentence.tags.end());
  seen.erase("O");
  std::vector<std::string> tags{"O"};
  tags.insert(tags.end(), seen.begin(), seen.end());
  return tags;
}

/// Returns the number of each word's tag in `tags`, and -100, which no loss counts, for a tag that
/// is not among them.
[[nodiscard]] inline std::vector<int> labels_of(const TaggedSentence& sentence,
                                                const std::vector<std::string>& tags) {
  std::vector<int> labels;
  for (const std::string& tag : sentence.tags) {
    const auto found = std::find(tags.begin(), tags.end(), tag);
    labels.push_back(found == tags.end() ? -100 : static_cast<int>(found - tags.begin()));
  }
  return labels;
}

}  // namespace ner
