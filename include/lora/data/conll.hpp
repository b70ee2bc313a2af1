#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/data/entity_tag.hpp"
#include "lora/data/record_lines.hpp"
#include "lora/text/file_text.hpp"

namespace lora::data {

/// A sentence as words, each with the tag of the entity that it belongs to.
struct TaggedSentence {
  std::vector<std::string> words;
  std::vector<std::string> tags;  ///< "O", "B-type" or "I-type"

  friend bool operator==(const TaggedSentence&, const TaggedSentence&) = default;
};

/// The columns that are read, counted from 0.
struct ConllColumns {
  std::size_t word = 0;
  std::optional<std::size_t> tag = std::nullopt;  ///< the last one, if absent
};

namespace detail {

/// A reader of CoNLL columns, line by line; see parse_conll.
class ConllReader {
 public:
  ConllReader(std::string_view text, const std::string& where, const ConllColumns& columns)
      : text_(text), where_(where), columns_(columns), lines_(text, where) {}

  [[nodiscard]] std::vector<TaggedSentence> read() {
    const std::size_t width = width_of_words();
    while (lines_.next()) {
      if (lines_.trimmed().empty() || lines_.trimmed().starts_with("-DOCSTART-"))
        finish();
      else if (split(lines_.trimmed()); !is_comment(width))
        add_word();
    }
    finish();
    return std::move(sentences_);
  }

 private:
  // How many columns the first line has that holds a word for certain; 0 if there is none.
  [[nodiscard]] std::size_t width_of_words() {
    for (RecordLines lines(text_, where_); lines.next();) {
      if (lines.trimmed().empty() || lines.trimmed().starts_with("-DOCSTART-") ||
          lines.trimmed()[0] == '#')
        continue;
      split(lines.trimmed());
      return fields_.size();
    }
    return 0;
  }

  // Columns are separated by a tab each, or by any number of spaces where there is no tab.
  void split(std::string_view line) {
    fields_.clear();
    const bool tabs = line.find('\t') != std::string_view::npos;
    for (std::size_t begin = 0; begin <= line.size();) {
      const std::size_t end = std::min(line.find(tabs ? '\t' : ' ', begin), line.size());
      if (tabs || end > begin || begin == 0) fields_.push_back(line.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  [[nodiscard]] std::optional<EntityTag> tag() const {
    const std::size_t column = columns_.tag.value_or(fields_.size() - 1);
    return column < fields_.size() ? parse_entity_tag(fields_[column]) : std::nullopt;
  }

  // The word # is a word, and begins a sentence too: a comment is what does not look like that.
  [[nodiscard]] bool is_comment(std::size_t width) const {
    const std::string_view line = lines_.trimmed();
    const bool marked = line == "#" || line.starts_with("# ") || line.starts_with("#\t");
    return marked && sentence_.words.empty() && ((width > 0 && fields_.size() != width) || !tag());
  }

  void add_word() {
    const std::size_t tag_column = columns_.tag.value_or(fields_.size() - 1);
    const std::size_t needed = std::max(columns_.word, tag_column) + 1;
    if (fields_.size() == 1)
      lines_.fail("has one column, \"" + printable(lines_.trimmed()) +
                  "\", expected a word and, in the last column, its tag");
    if (fields_.size() < needed)
      lines_.fail(message("has ", fields_.size(), " columns, expected at least ", needed));
    const std::string_view word = fields_[columns_.word];
    if (word.empty()) lines_.fail("the word is empty");
    if (!tag())
      lines_.fail("the tag is \"" + printable(fields_[tag_column], 40) +
                  "\", expected O, B-type or I-type");
    numbered_ = (sentence_.words.empty() || numbered_) && fields_.size() > 2 &&
                word == std::to_string(sentence_.words.size() + 1);
    sentence_.words.emplace_back(word);
    sentence_.tags.emplace_back(fields_[tag_column]);
  }

  void finish() {
    if (sentence_.words.empty()) return;
    // As GermEval's: 1, 2, ... would be learnt for words.
    if (numbered_ && sentence_.words.size() > 1 && columns_.word == 0)
      lines_.fail(
          "the words of the sentence that ends here are 1, 2 ...: the first column seems to "
          "number them; ConllColumns says which columns are read");
    sentences_.push_back(std::exchange(sentence_, {}));
  }

  std::string_view text_;
  const std::string& where_;
  ConllColumns columns_;
  RecordLines lines_;
  std::vector<std::string_view> fields_;
  TaggedSentence sentence_;
  bool numbered_ = false;
  std::vector<TaggedSentence> sentences_;
};

}  // namespace detail

/// Parses CoNLL columns: a word a line, its tag in the last column, others between them ignored, or
/// whichever `columns` says. Columns are separated by a tab or by spaces; in a line with a tab,
/// spaces belong to the columns. White space at the end of a line is no part of its tag. Empty
/// lines and lines that begin with -DOCSTART- end a sentence. A line before a sentence that begins
/// with # and white space is a comment, unless it has a tag and as many columns as the words do.
///
/// Throws FileError "where:line: ..." for a line of one column, a tag that is not O, B-type or
/// I-type, words that are their own numbers, a carriage return within a line, or what is not UTF-8.
[[nodiscard]] inline std::vector<TaggedSentence> parse_conll(std::string_view text,
                                                             const std::string& where,
                                                             const ConllColumns& columns = {}) {
  return detail::ConllReader(text, where, columns).read();
}

/// Reads a file of CoNLL columns; see parse_conll.
[[nodiscard]] inline std::vector<TaggedSentence> read_conll(const std::filesystem::path& path,
                                                            const ConllColumns& columns = {}) {
  const io::MappedFile file(path);
  return parse_conll(text::text_of(file), path.string(), columns);
}

}  // namespace lora::data
