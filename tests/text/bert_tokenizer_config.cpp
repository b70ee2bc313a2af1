#include <lora/text/bert_tokenizer_config.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

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
  CHECK_THROWS_WITH(parse_tokenizer_config(R"({"do_lower_case": null})", "c.json"),
                    "c.json: do_lower_case is null, expected true or false");
  CHECK_THROWS_WITH(parse_tokenizer_config(R"({"do_lower_case": "no"})", "c.json"),
                    "c.json: do_lower_case is \"no\", expected true or false");
  CHECK_THROWS_WITH(parse_tokenizer_config(R"({"truncation_side": "left"})", "c.json"),
                    "c.json: truncation_side is left, of which only right is known");
  CHECK_THROWS_WITH(parse_tokenizer_config(R"({"padding_side": "left"})", "c.json"),
                    "c.json: padding_side is left, of which only right is known");
  CHECK_THROWS_WITH(parse_tokenizer_config(R"({"split_special_tokens": true})", "c.json"),
                    "c.json: split_special_tokens is true, which is not known");
  CHECK_THROWS_WITH(parse_tokenizer_config(R"({"cls_token": ""})", "c.json"),
                    "c.json: cls_token is empty");
  CHECK_THROWS_WITH(parse_tokenizer_config(R"({"extra_special_tokens": "x"})", "c.json"),
                    "c.json: extra_special_tokens is not a list");
  CHECK_THROWS_WITH(parse_tokenizer_config(
                        R"({"added_tokens_decoder": {"\u200b\n": {"content": "x"}}})", "c.json"),
                    R"(c.json, added_tokens_decoder, \u200b\n: the key is not an id)");
}

TEST_CASE("a tokenizer_config.json is what Python's json reads") {
  const auto config = parse_tokenizer_config(
      R"({"do_lower_case": true, "scale": NaN, "unk_token": "a", "do_lower_case": false,
          "unk_token": "b"})",
      "c.json");
  CHECK_FALSE(config.do_lower_case);
  CHECK(config.unk_token == "b");
}

TEST_CASE("special tokens are known by their keys, with the flags that they have") {
  const auto config = parse_tokenizer_config(
      R"({"mask_token": {"content": "<m>", "lstrip": true}, "entity_token": "[E]", "bos_token": null,
          "additional_special_tokens": ["[F]", {"content": "[G]", "normalized": true}],
          "a_token": 3})",
      "c.json");
  CHECK(config.mask_token == "<m>");
  std::vector<std::string> contents;
  for (const AddedToken& token : config.special_tokens) contents.push_back(token.content);
  CHECK(contents == std::vector<std::string>{"<m>", "[E]", "[F]", "[G]"});
  CHECK(config.special_tokens[0].lstrip);
  CHECK_FALSE(config.special_tokens[2].normalized);
  CHECK(config.special_tokens[3].normalized);
}

TEST_CASE("a tokenizer_config.json too large is refused before anything is made of it") {
  const std::string large(tokenizer_limit + 1, ' ');
  CHECK_THROWS_WITH(parse_tokenizer_config(large, "c.json"),
                    "c.json: has 32000001 bytes, more than a tokenizer has");
}
