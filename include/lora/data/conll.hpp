#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/data/entity_tag.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/lines.hpp"
#include "lora/text/utf8.hpp"

namespace lora::data {

/// A sentence as words, each with the tag of the entity that it belongs to.
struct TaggedSentence {
  std::vector<std::string> words;
  std::vector<std::string> tags;  ///< "O", "B-type" or "I-type"

  friend bool operator==(const TaggedSentence&, const TaggedSentence&) = default;
};

/// Parses CoNLL columns: a word a line, its tag in the last column, others between them ignored.
/// Columns are separated by a tab or by spaces; in a line with a tab, spaces belong to the columns.
/// Empty lines and lines that begin with -DOCSTART- end a sentence. Throws FileError "where:line:
/// ..." for a line of one column, a tag that is not O, B-type or I-type, or what is not UTF-8.
[[nodiscard]] inline std::vector<TaggedSentence> parse_conll(std::string_view text,
                                                             const std::string& where) {
  std::vector<TaggedSentence> sentences;
  TaggedSentence sentence;
  const auto finish = [&] {
    if (!sentence.words.empty()) sentences.push_back(std::exchange(sentence, {}));
  };
  for (text::Lines lines(text); lines.next();) {
    std::string_view line = lines.line();
    const auto fail = [&](const std::string& what) {
      throw FileError(message(where, ":", lines.number(), ": ", what));
    };
    if (!text::is_utf8(line)) fail("is not UTF-8");
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("-DOCSTART-")) {
      finish();
      continue;
    }
    const char separator = line.find('\t') != std::string_view::npos ? '\t' : ' ';
    const std::string_view word = line.substr(0, line.find(separator));
    const std::size_t last = line.rfind(separator);
    if (last == std::string_view::npos)
      fail("has one column, expected a word and, in the last column, its tag");
    if (word.empty()) fail("the word is empty");
    const std::string_view tag = line.substr(last + 1);
    if (!parse_entity_tag(tag))
      fail("the tag is \"" + std::string(tag.substr(0, 40)) + "\", expected O, B-type or I-type");
    sentence.words.emplace_back(word);
    sentence.tags.emplace_back(tag);
  }
  finish();
  return sentences;
}

/// Reads a file of CoNLL columns; see parse_conll.
[[nodiscard]] inline std::vector<TaggedSentence> read_conll(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  return parse_conll(text::text_of(file), path.string());
}

}  // namespace lora::data
