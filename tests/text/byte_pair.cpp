#include <lora/text/byte_pair.hpp>

#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "text/golden_byte_pair.hpp"

using namespace lora;
using namespace lora::text;

namespace {

using Vocabulary = std::vector<std::pair<std::string, int>>;
using Merges = std::vector<std::pair<std::string, std::string>>;

// All bytes, by their numbers, and these tokens from 256 on.
Vocabulary bytes_and(const std::vector<std::string>& tokens) {
  Vocabulary vocabulary;
  for (int b = 0; b < 256; ++b)
    vocabulary.emplace_back(spelled_bytes(std::string(1, static_cast<char>(b))), b);
  for (const std::string& token : tokens)
    vocabulary.emplace_back(token, static_cast<int>(vocabulary.size()));
  return vocabulary;
}

std::vector<int> cut(const BytePair& model, const std::string& piece) {
  std::vector<BytePair::Token> tokens;
  model.cut(piece, tokens);
  std::vector<int> ids;
  std::size_t end = 0;
  for (const auto& token : tokens) {
    ids.push_back(token.id);
    // Tokens follow each other, and spell the piece.
    CHECK(token.begin == end);
    CHECK(bytes_of_token(*model.token_of(token.id)) ==
          piece.substr(token.begin, token.end - token.begin));
    end = token.end;
  }
  CHECK(end == piece.size());
  return ids;
}

std::vector<int> encode(const BytePair& model, const std::string& text, SplitPattern pattern) {
  std::vector<int> ids;
  for_each_piece(characters_of(text), pattern, [&](std::span<const Character> piece) {
    std::string bytes;
    for (const Character& character : piece) append_utf8(character.value, bytes);
    const auto found = cut(model, bytes);
    ids.insert(ids.end(), found.begin(), found.end());
  });
  return ids;
}

}  // namespace

TEST_CASE("texts have the ids of Hugging Face's byte-level BPE") {
  const auto& golden = test::golden_byte_pair();
  const BytePair model = test::golden_byte_pair_model();
  const BytePair whole = test::golden_byte_pair_model({.ignore_merges = true});
  CHECK(model.size() > 600);
  for (std::size_t i = 0; i < golden["strings"].size(); ++i) {
    const auto text = golden["strings"][i].get<std::string>();
    CAPTURE(i, printable(text));
    for (const auto& [name, pattern] : test::split_patterns)
      CHECK(encode(model, text, pattern) == golden["ids"][name][i].get<std::vector<int>>());
    CHECK(encode(whole, text, SplitPattern::llama3) ==
          golden["ids"]["llama3, ignore_merges"][i].get<std::vector<int>>());
  }
}

TEST_CASE("merges go by rank, then from the left") {
  const BytePair model(bytes_and({"ab", "bc", "abc", "aa", "aaaa"}),
                       Merges{{"b", "c"}, {"a", "b"}, {"a", "bc"}, {"a", "a"}, {"aa", "aa"}});
  CHECK(cut(model, "abc") == std::vector{258});
  CHECK(cut(model, "ab") == std::vector{256});
  CHECK(cut(model, "aaa") == std::vector{259, int{'a'}});
  CHECK(cut(model, "aaaaa") == std::vector{260, int{'a'}});
  CHECK(cut(model, "").empty());
  CHECK(cut(model, "\xFF") == std::vector{255});
}

// As tokenizers 0.23.3 does with such a vocabulary: ids of "a\x04b", "\x04" and "\x04ab\x04\x04a".
TEST_CASE("bytes that the vocabulary lacks are left out before neighbours merge") {
  Vocabulary vocabulary = bytes_and({"ab", "ba"});
  vocabulary.erase(vocabulary.begin() + 4);
  const BytePair model(vocabulary, Merges{{"a", "b"}, {"b", "a"}});
  const auto ids = [&](const std::string& piece) {
    std::vector<BytePair::Token> tokens;
    model.cut(piece, tokens);
    std::vector<int> all;
    for (const auto& token : tokens) all.push_back(token.id);
    return all;
  };
  CHECK(ids(std::string("a\x04") + "b") == std::vector{256});
  CHECK(ids("\x04").empty());
  CHECK(ids(std::string("\x04") + "ab\x04\x04" + "a") == std::vector<int>{256, 'a'});
}

TEST_CASE("a model that could not spell every text is refused") {
  const auto refusal = [](const Vocabulary& vocabulary, const Merges& merges) {
    try {
      static_cast<void>(BytePair(vocabulary, merges));
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(refusal(bytes_and({}), {}) == "accepted");
  Vocabulary vocabulary = bytes_and({});
  vocabulary.erase(vocabulary.begin() + ' ');
  CHECK(refusal(vocabulary, {}) == "BytePair: \"\u0120\", a byte, is not in the vocabulary");
  CHECK(refusal(bytes_and({}), {{"a", "b"}}) ==
        "BytePair: \"ab\", which a merge makes, is not in the vocabulary");
  CHECK(refusal(bytes_and({"ab"}), {{"a", "x\n"}}) ==
        R"(BytePair: "x\n", of a merge, is not in the vocabulary)");
  vocabulary = bytes_and({"ab"});
  vocabulary.back().second = -1;
  CHECK(refusal(vocabulary, {}) == "BytePair: the id of \"ab\" is -1, expected at least 0");
}

TEST_CASE("a piece of a million bytes takes n log n steps") {
  // It would take hours if each merge looked through the piece; ctest ends it then.
  const BytePair model(bytes_and({"aa", "aaaa"}), Merges{{"a", "a"}, {"aa", "aa"}});
  std::vector<BytePair::Token> tokens;
  model.cut(std::string(1'000'000, 'a'), tokens);
  CHECK(tokens.size() == 250'000);
}
