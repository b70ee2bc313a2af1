#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/data/record_lines.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/whitespace.hpp"

namespace lora::data {

/// A sentence and its class.
struct LabelledSentence {
  std::string sentence;
  int label = 0;

  friend bool operator==(const LabelledSentence&, const LabelledSentence&) = default;
};

/// Parses lines of `sentence <tab> 0 or 1`, the format of the UCI "Sentiment Labelled Sentences".
/// The label follows the last tab; the sentence is kept as it stands, quotes and all, but for white
/// space at its end; empty lines are skipped. Throws FileError "where:line: ..." for a line without
/// a tab, an empty sentence, another label, a carriage return within a line, or what is not UTF-8.
[[nodiscard]] inline std::vector<LabelledSentence> parse_labelled_sentences(
    std::string_view text, const std::string& where) {
  std::vector<LabelledSentence> sentences;
  for (RecordLines lines(text, where); lines.next();) {
    const std::string_view line = lines.line();
    if (lines.trimmed().empty()) continue;
    const std::size_t tab = line.rfind('\t');
    if (tab == std::string_view::npos)
      lines.fail("has no tab, expected a sentence, a tab and 0 or 1");
    const auto label = text::without_trailing_whitespace(line.substr(tab + 1));
    if (label != "0" && label != "1")
      lines.fail("the label is \"" + printable(label, 40) + "\", expected 0 or 1");
    const std::string_view sentence = text::without_trailing_whitespace(line.substr(0, tab));
    if (sentence.empty()) lines.fail("the sentence is empty");
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
