#include <lora/text/vocab_txt.hpp>

#include <string>

#include <lora/text/load_bert_tokenizer.hpp>

#include "support/catch.hpp"
#include "support/skip.hpp"
#include "support/temporary_directory.hpp"
#include "support/whole_file.hpp"
#include "text/golden_text.hpp"

using namespace lora;
using namespace lora::text;
using Json = io::Json;

namespace {

const std::string special = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";

}  // namespace

TEST_CASE("vocab.txt and tokenizer.json give the same ids") {
  const BertTokenizer from_txt = read_vocab_txt(test::text_data / "vocab.txt");
  Json json = test::read_json(test::text_data / "tokenizer.json");
  json["added_tokens"] = Json::array();
  for (const auto& token : from_txt.added_tokens())
    json["added_tokens"].push_back({{"content", token.content}, {"id", token.id}});
  const BertTokenizer from_json = parse_tokenizer_json(json.dump(), "t.json");
  for (const auto& text : test::golden_text()["strings"]) {
    const auto& string = text.get_ref<const std::string&>();
    CHECK(from_txt.encode(string).ids == from_json.encode(string).ids);
  }
}

TEST_CASE("ids are the numbers of the lines, whatever ends them") {
  for (const std::string end : {"\n", "\r\n"}) {
    std::string text;
    for (const char* token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "", "##b"})
      text += token + end;
    const BertTokenizer tokenizer = parse_vocab_txt(text + "c", "v.txt");
    CHECK(tokenizer.encode("ab c [MASK]").ids == std::vector{2, 4, 6, 7, 1, 1, 1, 3});
    CHECK(tokenizer.pad_id() == 0);
  }
}

TEST_CASE("a vocab.txt that cannot serve is refused") {
  CHECK_THROWS_WITH(parse_vocab_txt("[PAD]\n[UNK]\n[SEP]\n", "v.txt"),
                    "v.txt: the vocabulary lacks the token [CLS]");
  CHECK_THROWS_WITH(parse_vocab_txt("a\n", "v.txt"),
                    "v.txt: WordPiece: unk_token \"[UNK]\" is not in the vocabulary");
  CHECK_THROWS_WITH(parse_vocab_txt(special + "\xFF\n", "v.txt"), "v.txt:6: is not UTF-8");
  CHECK_THROWS_WITH(
      parse_vocab_txt(special, "v.txt", {.added_tokens = {{.content = "[CLS]", .id = 9}}}),
      "v.txt: the added token \"[CLS]\" has the id 9, which is not the vocabulary's");
  CHECK_THROWS_AS(
      parse_vocab_txt(special, "v.txt", {.added_tokens = {{.content = "new", .id = 3}}}),
      FileError);
}

TEST_CASE("files too large for a vocabulary are refused before anything is made of them") {
  const std::string large(tokenizer_limit + 1, '\n');
  CHECK_THROWS_WITH(parse_vocab_txt(large, "v.txt"),
                    "v.txt: has 32000001 bytes, more than a tokenizer has");
  CHECK_THROWS_WITH(parse_tokenizer_config(large, "c.json"),
                    "c.json: has 32000001 bytes, more than a tokenizer has");
}

TEST_CASE("tokenizer_config.json sets what it names") {
  const auto config = parse_tokenizer_config(
      R"({"do_lower_case": false, "strip_accents": true, "tokenize_chinese_chars": false,
          "cls_token": {"content": "<s>", "lstrip": false}, "unk_token": "?", "other": 3,
          "never_split": null, "added_tokens_decoder": {"7": {"content": "[X]", "lstrip": true}}})",
      "c.json");
  CHECK_FALSE(config.do_lower_case);
  CHECK(config.strip_accents == true);
  CHECK_FALSE(config.tokenize_chinese_chars);
  CHECK(config.cls_token == "<s>");
  CHECK(config.unk_token == "?");
  CHECK(config.sep_token == "[SEP]");
  REQUIRE(config.added_tokens.size() == 1);
  CHECK(config.added_tokens[0].id == 7);
  CHECK(config.added_tokens[0].lstrip);
  CHECK_THROWS_WITH(parse_tokenizer_config(R"({"do_basic_tokenize": false})", "c.json"),
                    "c.json: do_basic_tokenize is false, which is not known");
  CHECK_THROWS_WITH(parse_tokenizer_config(R"({"never_split": ["x"]})", "c.json"),
                    "c.json: never_split is not known");
  CHECK_THROWS_WITH(parse_tokenizer_config(R"({"unk_token": 3})", "c.json"),
                    "c.json: unk_token is not a string");
  CHECK_THROWS_WITH(
      parse_tokenizer_config(R"({"added_tokens_decoder": {"-1": {"content": "x"}}})", "c.json"),
      "c.json, added_tokens_decoder, -1: the key is not an id");
}

TEST_CASE("a folder's tokenizer.json goes before its vocab.txt") {
  const test::TemporaryDirectory folder;
  CHECK_THROWS_WITH(load_bert_tokenizer(folder.path()),
                    folder.path().string() + ": has neither tokenizer.json nor vocab.txt");
  test::write_whole(folder / "vocab.txt", special + "É\ne\nÉ\n");
  CHECK(load_bert_tokenizer(folder.path()).encode("É").ids == std::vector{2, 6, 3});
  test::write_whole(folder / "tokenizer_config.json", R"({"do_lower_case": false})");
  CHECK(load_bert_tokenizer(folder.path()).encode("É").ids == std::vector{2, 7, 3});
  test::write_whole(folder / "tokenizer.json",
                    test::read_whole(test::text_data / "tokenizer.json"));
  CHECK(load_bert_tokenizer(folder.path()).model().size() > 100);
}

TEST_CASE("the real vocabulary of MiniLM gives Hugging Face's ids") {
  const auto folder = test::folder_or_skip("LORA_MINILM_DIR");
  if (!folder) return;
  const Json sums = test::read_json(test::text_data / "minilm_checksums.json");
  const auto& strings = test::golden_text()["strings"];
  REQUIRE(sums.size() == strings.size());
  const BertTokenizer from_json = read_tokenizer_json(*folder / "tokenizer.json");
  const BertTokenizer from_txt = read_vocab_txt(*folder / "vocab.txt");
  CHECK(from_json.model().size() == 30'522);
  for (std::size_t i = 0; i < strings.size(); ++i) {
    const auto& string = strings[i].get_ref<const std::string&>();
    CAPTURE(string);
    CHECK(test::checksum(from_json.encode(string)) == sums[i].get<std::uint32_t>());
    CHECK(test::checksum(from_txt.encode(string)) == sums[i].get<std::uint32_t>());
  }
}
