#include <lora/text/load_bert_tokenizer.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/skip.hpp"
#include "support/temporary_directory.hpp"
#include "support/whole_file.hpp"
#include "text/golden_text.hpp"

using namespace lora;
using namespace lora::text;

namespace {

const std::filesystem::path tokenizer_cases = std::filesystem::path(LORA_GOLDEN_DIR) / "cases";

std::vector<int> ids_of(const std::filesystem::path& folder, const std::string& text) {
  return load_bert_tokenizer(folder).encode(text).ids;
}

}  // namespace

TEST_CASE("a folder's tokenizer is what transformers makes of its files") {
  // tests/golden/make_golden_tokenizer_folders.py
  const auto golden = test::read_json(test::text_data / "folders.json");
  REQUIRE(golden["folders"].size() > 50);
  for (const auto& entry : golden["folders"]) {
    const test::TemporaryDirectory folder;
    for (const auto& [file, content] : entry["files"].items())
      test::write_whole(folder / file, content.get<std::string>());
    const BertTokenizer tokenizer = load_bert_tokenizer(folder.path());
    for (const auto& pair : entry["ids"]) {
      CAPTURE(entry["name"].get<std::string>(), pair[0].get<std::string>());
      CHECK(tokenizer.encode(pair[0].get<std::string>()).ids == pair[1].get<std::vector<int>>());
    }
  }
}

TEST_CASE("where tokenizer.json and tokenizer_config.json disagree, the class decides") {
  const auto folder = tokenizer_cases / "lower-case-conflict";
  CHECK(ids_of(folder / "json-lower-config-cased", "Hello World") == std::vector{2, 17, 18, 3});
  CHECK(ids_of(folder / "json-cased-config-lower", "Hello World") == std::vector{2, 5, 6, 3});
}

TEST_CASE("a folder's settings are what Python's json reads") {
  const test::TemporaryDirectory folder;
  test::write_whole(folder / "tokenizer_config.json",
                    R"({"x": NaN, "unk_token": "[A]", "unk_token": "[B]"})");
  CHECK(read_bert_tokenizer_config(folder.path()).unk_token == "[B]");
  test::write_whole(folder / "special_tokens_map.json",
                    R"({"unk_token": "[C]", "unk_token": "[D]"})");
  CHECK(read_bert_tokenizer_config(folder.path()).unk_token == "[D]");
}

TEST_CASE("a folder's tokenizer.json goes before its vocab.txt") {
  const test::TemporaryDirectory folder;
  CHECK_THROWS_WITH(load_bert_tokenizer(folder.path()),
                    folder.path().string() + ": has neither tokenizer.json nor vocab.txt");
  test::write_whole(folder / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nÉ\ne\nÉ\n");
  CHECK(load_bert_tokenizer(folder.path()).encode("É").ids == std::vector{2, 6, 3});
  test::write_whole(folder / "tokenizer_config.json", R"({"do_lower_case": false})");
  CHECK(load_bert_tokenizer(folder.path()).encode("É").ids == std::vector{2, 7, 3});
  test::write_whole(folder / "tokenizer.json",
                    test::read_whole(test::text_data / "tokenizer.json"));
  CHECK(load_bert_tokenizer(folder.path()).model().size() > 100);
}

TEST_CASE("special tokens that only special_tokens_map.json names are known") {
  CHECK(ids_of(tokenizer_cases / "special-tokens-map/model", "hello xyz") ==
        std::vector{2, 5, 1, 3});
  CHECK(ids_of(tokenizer_cases / "special-tokens-map/model", "hello <mask>") ==
        std::vector{2, 5, 4, 3});
}

TEST_CASE("a tokenizer that cuts text in another way is refused by name") {
  const std::string known =
      ", of which only BertTokenizer, DistilBertTokenizer, ElectraTokenizer, MobileBertTokenizer, "
      "ConvBertTokenizer and PreTrainedTokenizerFast are known";
  const auto japanese = tokenizer_cases / "japanese-word-tokenizer/model";
  CHECK_THROWS_WITH(load_bert_tokenizer(japanese),
                    japanese.string() + ": tokenizer_class is BertJapaneseTokenizer" + known);
  // Where only config.json says it.
  const test::TemporaryDirectory folder;
  test::write_whole(folder / "vocab.txt", test::read_whole(japanese / "vocab.txt"));
  test::write_whole(folder / "config.json", test::read_whole(japanese / "config.json"));
  CHECK_THROWS_WITH(load_bert_tokenizer(folder.path()),
                    folder.path().string() + ": tokenizer_class is BertJapaneseTokenizer" + known);
  test::write_whole(folder / "config.json", R"({"tokenizer_class": "A\n\u200bB"})");
  CHECK_THROWS_WITH(load_bert_tokenizer(folder.path()),
                    folder.path().string() + R"(: tokenizer_class is A\n\u200bB)" + known);
  test::write_whole(folder / "config.json", R"({"tokenizer_class": "PreTrainedTokenizerFast"})");
  CHECK_THROWS_WITH(load_bert_tokenizer(folder.path()),
                    folder.path().string() +
                        ": has no tokenizer.json, which the tokenizer_class "
                        "PreTrainedTokenizerFast needs");
}

TEST_CASE("files that transformers' versions take differently are refused") {
  const test::TemporaryDirectory folder;
  const auto refusal = [&](const char* pointer, const io::Json& value) {
    auto json = test::read_json(tokenizer_cases /
                                "lower-case-conflict/json-cased-config-lower/tokenizer.json");
    json[io::Json::json_pointer(pointer)] = value;
    test::write_whole(folder / "tokenizer.json", json.dump());
    test::write_whole(folder / "tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer"})");
    std::string what = "accepted";
    try {
      static_cast<void>(load_bert_tokenizer(folder.path()));
    } catch (const FileError& error) {
      what = error.what();
    }
    test::write_whole(folder / "tokenizer_config.json",
                      R"({"tokenizer_class": "PreTrainedTokenizerFast"})");
    CHECK_NOTHROW(load_bert_tokenizer(folder.path()));
    const auto begin = what.find(": "), end = what.find(", which versions of transformers take");
    REQUIRE(end != std::string::npos);
    return what.substr(begin, end - begin);
  };
  CHECK(refusal("/normalizer/clean_text", false) ==
        ": normalizer, clean_text is false, but true by the tokenizer's settings");
  CHECK(refusal("/model/unk_token", "a") ==
        ": model, unk_token is a, but [UNK] by the tokenizer's settings");
  CHECK(refusal("/model/continuing_subword_prefix", "\u200b") ==
        R"(: model, continuing_subword_prefix is \u200b, but ## by the tokenizer's settings)");
  CHECK(refusal("/model/max_input_chars_per_word", 9) ==
        ": model, max_input_chars_per_word is 9, but 100 by the tokenizer's settings");
  CHECK(refusal("/post_processor", nullptr) ==
        ": post_processor is not [CLS] A [SEP] and [CLS] A [SEP] B [SEP]");
}

TEST_CASE("MiniLM's folder gives Hugging Face's ids") {
  const auto folder = test::folder_or_skip("LORA_MINILM_DIR");
  if (!folder) return;
  const auto sums = test::read_json(test::text_data / "minilm_checksums.json");
  const auto& strings = test::golden_text()["strings"];
  REQUIRE(sums.size() == strings.size());
  const BertTokenizer tokenizer = load_bert_tokenizer(*folder);
  for (std::size_t i = 0; i < strings.size(); ++i) {
    const auto& string = strings[i].get_ref<const std::string&>();
    CAPTURE(string);
    CHECK(test::checksum(tokenizer.encode(string)) == sums[i].get<std::uint32_t>());
  }
}
