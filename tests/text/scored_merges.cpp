#include <lora/text/scored_merges.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <lora/text/byte_pair_gguf.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"
#include "text/golden_fallback.hpp"

using namespace lora;
using namespace lora::text;
using namespace lora::test;

namespace {

// The keys of the vocabulary with scores; texts live in it.
struct ScoredKeys {
  ScoredKeys() {
    const io::Json& golden = golden_fallback();
    std::vector<std::pair<int, std::string>> by_id;
    for (const auto& [token, id] : golden["tokenizer"]["model"]["vocab"].items())
      by_id.emplace_back(id.get<int>(), token);
    std::sort(by_id.begin(), by_id.end());
    for (const auto& [id, token] : by_id) {
      tokens.push_back(token);
      types.push_back(id == 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1);
    }
    scores = golden["scores"].get<std::vector<double>>();
  }

  [[nodiscard]] io::GgufMetadata metadata() const {
    io::GgufMetadata all("f.gguf");
    io::GgufList texts{.type = io::GgufValueType::text};
    for (const std::string& token : tokens) texts.texts.push_back(token);
    all.insert("tokenizer.ggml.model", std::string_view("llama"));
    all.insert("tokenizer.ggml.tokens", texts);
    all.insert("tokenizer.ggml.token_type",
               io::GgufList{.type = io::GgufValueType::i32, .numbers = types});
    all.insert("tokenizer.ggml.scores",
               io::GgufList{.type = io::GgufValueType::f32, .numbers = scores});
    all.insert("tokenizer.ggml.bos_token_id", std::uint64_t{1});
    return all;
  }

  std::vector<std::string> tokens;
  std::vector<double> types, scores;
};

}  // namespace

TEST_CASE("tokens with scores merge in every way that two tokens make one") {
  const std::vector<std::pair<std::string, int>> vocabulary{
      {"a", 0}, {"b", 1}, {"ab", 2}, {"ba", 3}, {"aba", 4}};
  const ScoredMerges found(vocabulary, std::vector<double>{-9, -9, -1, -1, -5});
  CHECK(found.merges == std::vector<std::pair<std::string, std::string>>{
                            {"a", "b"}, {"b", "a"}, {"a", "ba"}, {"ab", "a"}});
  CHECK(found.ranks == std::vector<std::size_t>{0, 0, 1, 1});
}

TEST_CASE("texts have the ids of llama.cpp's tokenizer with scores") {
  const io::Json& golden = golden_fallback();
  const ScoredKeys keys;
  const BytePairTokenizer tokenizer = byte_pair_of_gguf(keys.metadata());
  REQUIRE(golden["llama_texts"].size() > 200);
  for (std::size_t i = 0; i < golden["llama_texts"].size(); ++i) {
    const auto text = golden["llama_texts"][i].get<std::string>();
    CAPTURE(text);
    CHECK(tokenizer.encode(text, {.add_special_tokens = false}).ids ==
          ids_of(golden["llama_ids"][i]));
  }
  CHECK(tokenizer.encode("a").ids.front() == 1);
  CHECK(tokenizer.decode(tokenizer.encode("Straße 日本").ids) == "Straße 日本");
}

TEST_CASE("scores that are missing or no numbers are refused") {
  ScoredKeys keys;
  keys.scores.pop_back();
  check_throws<FileError>([&] { static_cast<void>(byte_pair_of_gguf(keys.metadata())); },
                          "scores, expected one for each");
  keys.scores.push_back(std::nan(""));
  check_throws<FileError>([&] { static_cast<void>(byte_pair_of_gguf(keys.metadata())); },
                          "a score that is no finite number");
}

TEST_CASE("a token too long for its merges to be found is refused, not left out") {
  ScoredKeys keys;
  keys.tokens.back() = std::string(256, 'x');
  CHECK_NOTHROW(byte_pair_of_gguf(keys.metadata()));
  keys.tokens.back() += 'x';
  check_throws<FileError>(
      [&] { static_cast<void>(byte_pair_of_gguf(keys.metadata())); },
      message("f.gguf: token ", keys.tokens.size() - 1, " has 257 bytes, expected at most 256"));
}
