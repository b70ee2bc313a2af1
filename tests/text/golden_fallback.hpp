#pragma once

#include <string>
#include <vector>

#include <lora/io/json.hpp>
#include <lora/text/byte_pair_json.hpp>

#include "support/whole_file.hpp"

namespace lora::test {

/// The golden file of tests/golden/make_golden_fallback.py; read once.
inline const io::Json& golden_fallback() {
  static const io::Json golden =
      io::parse_json(read_whole(LORA_GOLDEN_DIR "/tokenizer/fallback.json"), "fallback.json");
  return golden;
}

/// Returns the tokenizer of its tokenizer.json, with what `change` does to that.
template <class Change>
text::BytePairTokenizer golden_fallback_tokenizer(const Change& change) {
  io::Json json = golden_fallback()["tokenizer"];
  change(json);
  return text::parse_byte_pair_json(json.dump(), "t.json");
}

/// Returns the numbers of a list.
inline std::vector<int> ids_of(const io::Json& list) { return list.get<std::vector<int>>(); }

}  // namespace lora::test
