#include <lora/text/vocab_txt.hpp>

#include <string>

#include <lora/text/tokenizer_json.hpp>

#include "support/catch.hpp"
#include "support/skip.hpp"
#include "text/golden_text.hpp"

using namespace lora;
using namespace lora::text;
using Json = io::Json;

namespace {

const std::string special_lines = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";

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

TEST_CASE("a vocab.txt is read as it may have been edited") {
  // Without a line feed at the end, with other white space at the end of lines, a token twice.
  const BertTokenizer tokenizer =
      parse_vocab_txt("\xEF\xBB\xBF" + special_lines + "a \u00A0\t\r\r\nb\na\n##b\nc", "v.txt");
  CHECK(tokenizer.encode("a b ab c").ids == std::vector{2, 7, 6, 7, 8, 9, 3});
  CHECK(tokenizer.model().size() == 9);
  CHECK(*tokenizer.token_of(5) == "a");
  CHECK(tokenizer.pad_id() == 0);
}

TEST_CASE("texts of nothing and of spaces have the model's own tokens alone") {
  const BertTokenizer tokenizer = parse_vocab_txt(special_lines + "a\n", "v.txt");
  for (const char* text : {"", " ", " \t\r\n", "\u00A0\u3000\u2028", "\u200B\uFEFF\u00AD"})
    CHECK(tokenizer.encode(text).ids == std::vector{2, 3});
  CHECK(tokenizer.encode("", "").ids == std::vector{2, 3, 3});
  CHECK(tokenizer.encode("", {.add_special_tokens = false}).ids.empty());
  CHECK(tokenizer.encode_words(std::vector<std::string>{"", "a", " "}).words ==
        std::vector<Index>{-1, 1, -1});
}

TEST_CASE("a word of more than a hundred characters is unknown") {
  const BertTokenizer tokenizer = parse_vocab_txt(special_lines + "a\n##a\n", "v.txt");
  CHECK(tokenizer.encode(std::string(100, 'a')).ids.size() == 102);
  CHECK(tokenizer.encode(std::string(101, 'a')).ids == std::vector{2, 1, 3});
}

TEST_CASE("a text that spells a special token has its id, in its own spelling only") {
  const BertTokenizer tokenizer = parse_vocab_txt(special_lines + "[\n]\nmask\n", "v.txt");
  CHECK(tokenizer.encode("[MASK][SEP]").ids == std::vector{2, 4, 3, 3});
  CHECK(tokenizer.encode("[mask]").ids == std::vector{2, 5, 7, 6, 3});
}

TEST_CASE("a vocab.txt that cannot serve is refused") {
  CHECK_THROWS_WITH(parse_vocab_txt("[PAD]\n[UNK]\n[SEP]\n", "v.txt"),
                    "v.txt: the vocabulary lacks the token [CLS]");
  CHECK_THROWS_WITH(parse_vocab_txt("a\n", "v.txt"),
                    "v.txt: WordPiece: unk_token \"[UNK]\" is not in the vocabulary");
  CHECK_THROWS_WITH(parse_vocab_txt(special_lines + "\xFF\n", "v.txt"), "v.txt:6: is not UTF-8");
  CHECK_THROWS_WITH(
      parse_vocab_txt(special_lines, "v.txt", {.added_tokens = {{.content = "[CLS]", .id = 9}}}),
      "v.txt: the added token \"[CLS]\" has the id 9, but the vocabulary says 2");
  CHECK_THROWS_AS(
      parse_vocab_txt(special_lines, "v.txt", {.added_tokens = {{.content = "new", .id = 3}}}),
      FileError);
  CHECK_THROWS_WITH(
      parse_vocab_txt(special_lines, "v.txt",
                      {.added_tokens = {{.content = "x", .id = 5}, {.content = "x", .id = 5}}}),
      "v.txt: the added token \"x\" has the id 5 and stands twice");
  CHECK_THROWS_WITH(
      parse_vocab_txt(special_lines, "v.txt",
                      {.added_tokens = {{.content = "x", .id = 5}, {.content = "y", .id = 5}}}),
      "v.txt: the added token \"y\" has the id 5, which another one has too");
  CHECK_THROWS_WITH(parse_vocab_txt(special_lines, "v.txt", {.cls_token = "a\n\u200B"}),
                    R"(v.txt: the vocabulary lacks the token a\n\u200b)");
}

TEST_CASE("files too large for a vocabulary are refused before anything is made of them") {
  const std::string large(tokenizer_limit + 1, '\n');
  CHECK_THROWS_WITH(parse_vocab_txt(large, "v.txt"),
                    "v.txt: has 32000001 bytes, more than a tokenizer has");
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
