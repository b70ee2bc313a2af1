#pragma once

#include <cstddef>
#include <lora/core/error.hpp>
#include <lora/data/prompt_completion.hpp>
#include <lora/text/file_text.hpp>
#include <lora/text/lines.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace textgen {

/// Says how to get the Jargon File.
inline constexpr const char* how_to_get_the_jargon_file =
    "The Jargon File (public domain) is Debian's package jargon-text:\n"
    "  examples/text_generation/get_texts.sh FOLDER\n"
    "puts it there as jargon.txt.";

/// Returns the question that an entry answers.
[[nodiscard]] inline std::string question(std::string_view word) {
  return "What does \"" + std::string(word) + "\" mean in hackers' jargon?";
}

namespace detail {

// Lines that were broken for a page become one again, and {links} lose their braces.
[[nodiscard]] inline std::string unbroken(const std::vector<std::string_view>& lines) {
  std::string text;
  for (const std::string_view line : lines) {
    if (line.empty()) {
      text += "\n\n";
      continue;
    }
    if (!text.empty() && text.back() != '\n') text += ' ';
    for (const char c : line)
      if (c != '{' && c != '}') text += c;
  }
  text.erase(text.find_last_not_of('\n') + 1);
  return text;
}

}  // namespace detail

/// Parses the Jargon File as it stands in Debian (4.4.7): an entry begins with a line
/// "   :word: pronunciation", and goes on as far as lines are indented. Returns its questions and
/// answers, of answers the first paragraph or, where it is short, more, up to about `most` bytes;
/// entries that begin with a longer one are left out. Throws lora::FileError for a text without
/// entries.
[[nodiscard]] inline std::vector<lora::data::PromptCompletion> parse_jargon(
    std::string_view text, const std::string& where, std::size_t most = 500) {
  std::vector<lora::data::PromptCompletion> entries;
  std::string word;
  std::vector<std::string_view> lines;
  std::size_t size = 0;
  const auto finish = [&] {
    // Whole paragraphs, as many as there is room for.
    while (!lines.empty() && (lines.back().empty() || size > most)) {
      while (!lines.empty() && !lines.back().empty()) {
        size -= lines.back().size() + 1;
        lines.pop_back();
      }
      while (!lines.empty() && lines.back().empty()) lines.pop_back();
    }
    // The first line is the word itself, with its pronunciation.
    if (!word.empty() && lines.size() > 2)
      entries.push_back({question(word), detail::unbroken(lines)});
    word.clear();
    lines.clear();
    size = 0;
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("   :")) {
      finish();
      const std::size_t colon = line.find(':', 4);
      if (colon == std::string_view::npos) continue;
      word = line.substr(4, colon - 4);
      lines.push_back(line.substr(4));
      size = line.size();
    } else if (word.empty() || (!line.empty() && !line.starts_with("   "))) {
      finish();
    } else {
      line.remove_prefix(std::min(line.size(), line.find_first_not_of(' ')));
      if (!line.empty() || !lines.back().empty()) lines.push_back(line);
      size += line.size() + 1;
    }
  }
  finish();
  if (entries.empty())
    throw lora::FileError(where + ": has no entry of the Jargon File (\"   :word: ...\").\n" +
                          how_to_get_the_jargon_file);
  return entries;
}

/// Reads the Jargon File; see parse_jargon.
[[nodiscard]] inline std::vector<lora::data::PromptCompletion> read_jargon(
    const std::filesystem::path& path) {
  const lora::io::MappedFile file(path);
  return parse_jargon(lora::text::text_of(file), path.string());
}

}  // namespace textgen
