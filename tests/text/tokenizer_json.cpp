#include <lora/text/tokenizer_json.hpp>

#include <functional>
#include <string>

#include "support/catch.hpp"
#include "text/golden_text.hpp"

using namespace lora;
using namespace lora::text;
using Json = io::Json;

namespace {

// The golden tokenizer.json after `change`, parsed.
BertTokenizer changed(const std::function<void(Json&)>& change) {
  Json json = test::read_json(test::text_data / "tokenizer.json");
  change(json);
  return parse_tokenizer_json(json.dump(), "t.json");
}

std::string refusal(const std::function<void(Json&)>& change) {
  try {
    (void)changed(change);
  } catch (const FileError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("components other than BERT's are refused by name") {
  CHECK(refusal([](Json& j) {
          j["normalizer"] = {{"type", "NFKC"}};
        }) == "t.json, normalizer: type is NFKC, of which only BertNormalizer is known");
  CHECK(refusal([](Json& j) { j["normalizer"] = nullptr; }) == "t.json: lacks normalizer");
  CHECK(refusal([](Json& j) { j["pre_tokenizer"]["type"] = "Whitespace"; }) ==
        "t.json, pre_tokenizer: type is Whitespace, of which only BertPreTokenizer is known");
  CHECK(refusal([](Json& j) { j["model"]["type"] = "BPE"; }) ==
        "t.json, model: type is BPE, of which only WordPiece is known");
  CHECK(refusal([](Json& j) { j["post_processor"]["type"] = "RobertaProcessing"; }) ==
        "t.json, post_processor: type is RobertaProcessing, of which only TemplateProcessing and "
        "BertProcessing are known");
}

TEST_CASE("BertProcessing is the template of BERT, and no processing adds nothing") {
  const auto bert = changed([](Json& j) {
    j["post_processor"] = {
        {"type", "BertProcessing"}, {"sep", {"[SEP]", 4}}, {"cls", {"[CLS]", 3}}};
  });
  const auto templated = test::golden_tokenizer();
  CHECK(bert.encode("the film", "good").ids == templated.encode("the film", "good").ids);
  CHECK(bert.encode("the film", "good").type_ids == templated.encode("the film", "good").type_ids);
  const auto plain = changed([](Json& j) { j["post_processor"] = nullptr; });
  CHECK(plain.encode("the film", "good").type_ids == std::vector{0, 0, 1});
  CHECK(plain.encode("the film").ids ==
        templated.encode("the film", {.add_special_tokens = false}).ids);
}

TEST_CASE("a model of the first versions has no type") {
  CHECK(changed([](Json& j) { j["model"].erase("type"); }).encode("the film").size() == 4);
}

TEST_CASE("a tokenizer.json that lies is refused with the place and the reason") {
  CHECK(refusal([](Json& j) { j["model"].erase("vocab"); }) == "t.json, model: lacks vocab");
  CHECK(refusal([](Json& j) {
          j["model"]["vocab"] = {1, 2};
        }) == "t.json, model, vocab: is not a JSON object");
  CHECK(refusal([](Json& j) { j["model"]["vocab"]["the"] = -1; }) ==
        "t.json, model, vocab: the id of \"the\" is not an integer from 0 to 2147483647");
  CHECK(refusal([](Json& j) { j["model"]["vocab"]["the"] = 1e3; }) ==
        "t.json, model, vocab: the id of \"the\" is not an integer from 0 to 2147483647");
  CHECK(refusal([](Json& j) { j["model"]["vocab"]["the"] = 3000000000U; }) ==
        "t.json, model, vocab: the id of \"the\" is not an integer from 0 to 2147483647");
  CHECK(refusal([](Json& j) { j["model"]["vocab"]["zzz"] = 0; }) ==
        "t.json, model, vocab: \"zzz\" and another token have the id 0");
  CHECK(refusal([](Json& j) { j["model"]["unk_token"] = "?!"; }) ==
        "t.json: WordPiece: unk_token \"?!\" is not in the vocabulary");
  CHECK(refusal([](Json& j) { j["model"]["max_input_chars_per_word"] = 1000000; }) ==
        "t.json: WordPiece: max_input_chars_per_word is 1000000, expected at most 10000");
  CHECK(refusal([](Json& j) { j["normalizer"]["lowercase"] = "yes"; }) ==
        "t.json, normalizer: lowercase is \"yes\", expected true or false");
  CHECK(refusal([](Json& j) { j["added_tokens"][0]["id"] = 5; }) ==
        "t.json: the added token \"[PAD]\" has the id 5, but the vocabulary says 0");
  CHECK(refusal([](Json& j) { j["added_tokens"][5]["id"] = 7; }).find("in the vocabulary") !=
        std::string::npos);
  CHECK(refusal([](Json& j) { j["added_tokens"].push_back(j["added_tokens"][0]); }) ==
        "t.json: the added token \"[PAD]\" has the id 0 and stands twice");
  CHECK(refusal([](Json& j) { j["added_tokens"][5]["content"] = ""; }) ==
        "t.json, added_tokens: a token is empty");
  CHECK(refusal([](Json& j) { j["added_tokens"] = 3; }) == "t.json: added_tokens is not a list");
  CHECK(refusal([](Json& j) { j["post_processor"]["single"][0]["SpecialToken"]["id"] = "[X]"; }) ==
        "t.json, post_processor, special_tokens: lacks [X]");
  CHECK(refusal([](Json& j) { j["post_processor"]["pair"].erase(3); }) ==
        "t.json, post_processor: pair does not have each of its texts once");
  CHECK(refusal([](Json& j) { j["post_processor"]["single"][1]["Sequence"]["id"] = "C"; }) ==
        "t.json, post_processor, single, Sequence: id is C, expected A or B");
  CHECK_THROWS_AS(parse_tokenizer_json("{", "t.json"), FileError);
  CHECK_THROWS_WITH(parse_tokenizer_json("[]", "t.json"), "t.json: is not a JSON object");
}

TEST_CASE("a short file cannot ask for many tokens around each text, nor a long one for a table") {
  CHECK(refusal([](Json& j) {
          Json& template_json = j["post_processor"];
          template_json["special_tokens"]["[CLS]"]["ids"] = std::vector<int>(40, 3);
          const Json cls = template_json["single"][0];
          for (int i = 0; i < 30; ++i) template_json["single"].push_back(cls);
        }) == "t.json, post_processor: single has more than 1000 tokens of its own");
  try {
    static_cast<void>(parse_tokenizer_json(std::string(tokenizer_limit + 1, ' '), "t.json"));
    FAIL("accepted");
  } catch (const FileError& error) {
    CHECK(error.what() == std::string("t.json: has 32000001 bytes, more than a tokenizer has"));
  }
}

TEST_CASE("every beginning of a tokenizer.json is refused") {
  const std::string text = test::read_whole(test::text_data / "tokenizer.json");
  for (std::size_t size = 0; size < text.size(); size += 97)
    CHECK_THROWS_AS(parse_tokenizer_json(text.substr(0, size), "t.json"), FileError);
}

TEST_CASE("padding takes the token that the file names") {
  CHECK(changed([](Json& j) { j["padding"] = {{"pad_id", 6}}; }).pad_id() == 6);
  CHECK(test::golden_tokenizer().pad_id() == 0);
}
