#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/lines.hpp"
#include "lora/text/utf8.hpp"

namespace lora::data {

/// A sentence and its class.
struct LabelledSentence {
  std::string sentence;
  int label = 0;

  friend bool operator==(const LabelledSentence&, const LabelledSentence&) = default;
};

/// Parses lines of `sentence <tab> 0 or 1`, the format of the UCI "Sentiment Labelled Sentences".
/// The label follows the last tab; the sentence is kept as it stands, quotes and all, but for
/// spaces at its end; empty lines are skipped. Throws FileError "where:line: ..." for a line
/// without a tab, an empty sentence, another label, or what is not UTF-8.
[[nodiscard]] inline std::vector<LabelledSentence> parse_labelled_sentences(
    std::string_view text, const std::string& where) {
  std::vector<LabelledSentence> sentences;
  for (text::Lines lines(text); lines.next();) {
    const std::string_view line = lines.line();
    const auto fail = [&](const std::string& what) {
      throw FileError(message(where, ":", lines.number(), ": ", what));
    };
    if (line.empty()) continue;
    if (!text::is_utf8(line)) fail("is not UTF-8");
    const std::size_t tab = line.rfind('\t');
    if (tab == std::string_view::npos) fail("has no tab, expected a sentence, a tab and 0 or 1");
    std::string_view label = line.substr(tab + 1);
    while (label.ends_with(' ')) label.remove_suffix(1);
    if (label != "0" && label != "1")
      fail("the label is \"" + std::string(label.substr(0, 40)) + "\", expected 0 or 1");
    std::string_view sentence = line.substr(0, tab);
    while (sentence.ends_with(' ')) sentence.remove_suffix(1);
    if (sentence.empty()) fail("the sentence is empty");
    sentences.push_back({std::string(sentence), label == "1" ? 1 : 0});
  }
  return sentences;
}

/// Reads a file of labelled sentences; see parse_labelled_sentences.
[[nodiscard]] inline std::vector<LabelledSentence> read_labelled_sentences(
    const std::filesystem::path& path) {
  const io::MappedFile file(path);
  return parse_labelled_sentences(text::text_of(file), path.string());
}

}  // namespace lora::data
