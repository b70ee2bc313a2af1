#pragma once

#include <string>
#include <utility>
#include <vector>

#include <lora/text/byte_pair.hpp>
#include <lora/text/pre_tokenizer.hpp>

#include "text/golden_text.hpp"

namespace lora::test {

/// The golden file of tests/golden/make_golden_byte_pair.py; read once.
inline const io::Json& golden_byte_pair() {
  static const io::Json golden = read_json(text_data / "byte_pair.json");
  return golden;
}

/// The model of the golden file.
inline text::BytePair golden_byte_pair_model(const text::BytePairConfig& config = {}) {
  const io::Json& golden = golden_byte_pair();
  std::vector<std::pair<std::string, int>> vocabulary;
  for (const auto& [token, id] : golden["vocab"].items())
    vocabulary.emplace_back(token, id.get<int>());
  return {vocabulary, golden["merges"].get<std::vector<std::pair<std::string, std::string>>>(),
          config};
}

inline const std::vector<std::pair<std::string, text::SplitPattern>> split_patterns{
    {"gpt2", text::SplitPattern::gpt2},
    {"llama3", text::SplitPattern::llama3},
    {"qwen2", text::SplitPattern::qwen2},
    {"smollm", text::SplitPattern::smollm}};

/// The tokenizer.json of a pattern of the golden file, whose model the file has once.
inline io::Json golden_byte_pair_json(const std::string& name) {
  const io::Json& golden = golden_byte_pair();
  io::Json json = golden["added"]["tokenizers"][name];
  json["model"] = {{"type", "BPE"},
                   {"ignore_merges", name == "llama3"},
                   {"vocab", golden["vocab"]},
                   {"merges", golden["merges"]}};
  return json;
}

}  // namespace lora::test
