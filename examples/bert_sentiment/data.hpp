#pragma once

#include <array>
#include <filesystem>
#include <lora/core/error.hpp>
#include <lora/text.hpp>
#include <utility>
#include <vector>

namespace sentiment {

using lora::data::LabelledSentence;

/// The published files of the "Sentiment Labelled Sentences".
inline constexpr std::array<const char*, 3> published_files{
    "amazon_cells_labelled.txt", "imdb_labelled.txt", "yelp_labelled.txt"};

/// Reads a folder with at least one of the published files, or one file of that format. Throws
/// lora::FileError.
[[nodiscard]] inline std::vector<LabelledSentence> read_sentences(
    const std::filesystem::path& data) {
  if (!std::filesystem::is_directory(data)) return lora::data::read_labelled_sentences(data);
  std::vector<LabelledSentence> all;
  bool found = false;
  for (const char* name : published_files) {
    if (!std::filesystem::exists(data / name)) continue;
    found = true;
    for (LabelledSentence& each : lora::data::read_labelled_sentences(data / name))
      all.push_back(std::move(each));
  }
  if (!found)
    throw lora::FileError(lora::message(data.string(), ": has none of ", published_files[0], ", ",
                                        published_files[1], " and ", published_files[2]));
  return all;
}

}  // namespace sentiment
