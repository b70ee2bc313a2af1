#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/data/record_lines.hpp"
#include "lora/io/json.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/json_fields.hpp"

namespace lora::data {

/// A question and its answer: what a model is given, and what it is to learn to write.
struct PromptCompletion {
  std::string prompt;
  std::string completion;

  friend bool operator==(const PromptCompletion&, const PromptCompletion&) = default;
};

/// Parses JSON lines {"prompt": "...", "completion": "..."}, the format "prompt-completion" of
/// Hugging Face's TRL; empty lines are skipped. Texts are kept as they stand, white space and all:
/// a prompt may be empty. Throws FileError "where:line: ..." for a line that is no such object, has
/// other keys, or has an empty completion.
[[nodiscard]] inline std::vector<PromptCompletion> parse_prompt_completions(
    std::string_view text, const std::string& where) {
  std::vector<PromptCompletion> pairs;
  for (RecordLines lines(text, where); lines.next();) {
    if (lines.trimmed().empty()) continue;
    const io::Json json = io::parse_json(lines.trimmed(), lines.where());
    const text::JsonFields fields(json, lines.where());
    for (const auto& [key, value] : json.items())
      if (key != "prompt" && key != "completion")
        lines.fail("the key \"" + printable(key) +
                   "\" is not known, expected prompt and completion");
    PromptCompletion pair{fields.string("prompt"), fields.string("completion")};
    if (pair.completion.empty()) lines.fail("the completion is empty");
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

/// Reads a file of prompts and completions; see parse_prompt_completions.
[[nodiscard]] inline std::vector<PromptCompletion> read_prompt_completions(
    const std::filesystem::path& path) {
  const io::MappedFile file(path);
  return parse_prompt_completions(text::text_of(file), path.string());
}

}  // namespace lora::data
