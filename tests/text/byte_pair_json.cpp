#include <lora/text/byte_pair_json.hpp>

#include <functional>
#include <string>

#include "support/catch.hpp"
#include "text/golden_byte_pair.hpp"

using namespace lora;
using namespace lora::text;
using Json = io::Json;

namespace {

// What reading the golden file of Llama 3's pattern says after `change`.
std::string bpe_refusal(const std::function<void(Json&)>& change) {
  Json json = test::golden_byte_pair_json("llama3");
  change(json);
  try {
    static_cast<void>(parse_byte_pair_json(json.dump(), "t.json"));
  } catch (const FileError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("merges are read as text and as pairs") {
  Json json = test::golden_byte_pair_json("gpt2");
  const BytePairTokenizer pairs = parse_byte_pair_json(json.dump(), "t.json");
  for (auto& merge : json["model"]["merges"])
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  const BytePairTokenizer lines = parse_byte_pair_json(json.dump(), "t.json");
  CHECK(pairs.pattern() == SplitPattern::gpt2);
  CHECK(pairs.encode("international food").ids == lines.encode("international food").ids);
}

TEST_CASE("components that are not known are refused by name") {
  CHECK(bpe_refusal([](Json&) {}) == "accepted");
  CHECK(bpe_refusal([](Json& j) {
          j["normalizer"] = {{"type", "NFKC"}};
        }) == "t.json, normalizer: type is NFKC, of which only NFC is known");
  CHECK(bpe_refusal([](Json& j) {
          j["pre_tokenizer"] = {{"type", "Metaspace"}};
        }) == "t.json, pre_tokenizer: type is Metaspace, of which only Sequence is known");
  CHECK(bpe_refusal([](Json& j) { j["pre_tokenizer"] = nullptr; }) ==
        "t.json: lacks pre_tokenizer");
  CHECK(bpe_refusal([](Json& j) {
          j["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}};
        }) == "t.json, pre_tokenizer: add_prefix_space is not false");
  CHECK(bpe_refusal([](Json& j) {
          j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\s+\n";
        }) == R"(t.json, pre_tokenizer, pretokenizers: the pattern "\\s+\n" is not known, )"
              "expected that of Llama 3 or Qwen2");
  CHECK(bpe_refusal([](Json& j) { j["model"]["type"] = "Unigram"; }) ==
        "t.json, model: type is Unigram, of which only BPE is known");
  CHECK(bpe_refusal([](Json& j) { j["model"]["byte_fallback"] = true; }) ==
        "t.json, pre_tokenizer: type is Sequence, of which only Metaspace is known");
  CHECK(bpe_refusal([](Json& j) { j["model"]["dropout"] = 0.1; }) ==
        "t.json, model: dropout is 0.1, expected null");
  CHECK(bpe_refusal([](Json& j) { j["model"]["continuing_subword_prefix"] = ""; }) == "accepted");
  CHECK(bpe_refusal([](Json& j) { j["decoder"]["type"] = "Fuse"; }) ==
        "t.json, decoder: type is Fuse, of which only ByteLevel is known");
}

TEST_CASE("a tokenizer.json of byte-level BPE that lies is refused with the place") {
  CHECK(bpe_refusal([](Json& j) { j["model"]["merges"][0] = "a b c"; }) ==
        "t.json, model: the merge \"a b c\" is not two tokens");
  CHECK(bpe_refusal([](Json& j) {
          j["model"]["merges"][0] = {"a", "\u65E5"};
        }) == "t.json: BytePair: \"\u65E5\", of a merge, is not in the vocabulary");
  CHECK(bpe_refusal([](Json& j) { j["model"]["vocab"].erase("!"); }) ==
        "t.json: BytePair: \"!\", a byte, is not in the vocabulary");
  CHECK(bpe_refusal([](Json& j) { j["model"]["vocab"]["zzz"] = 0; }).find(" have the id 0") !=
        std::string::npos);
  CHECK(bpe_refusal([](Json& j) {
          j["added_tokens"][0]["id"] = 3;
        }).starts_with("t.json: the added token \"<|begin|>\" has the id 3, which is \""));
  CHECK(bpe_refusal([](Json& j) {
          j["added_tokens"].push_back(j["added_tokens"][0]);
        }).ends_with(" and stands twice"));
  CHECK_THROWS_AS(parse_byte_pair_json("{", "t.json"), FileError);
  CHECK_THROWS_AS(parse_byte_pair_json(std::string(tokenizer_limit + 1, ' '), "t.json"), FileError);
}
