#include <lora/text/added_token_json.hpp>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

namespace {

AddedToken added_token_of(const char* text, bool normalized = false) {
  const io::Json json = io::parse_json(text, "t.json");
  return read_added_token(JsonFields(json, "t.json"), normalized);
}

}  // namespace

TEST_CASE("an added token has the flags that its JSON says") {
  const AddedToken plain = added_token_of(R"({"content": "[X]"})");
  CHECK(plain.content == "[X]");
  CHECK_FALSE(plain.single_word);
  CHECK_FALSE(plain.lstrip);
  CHECK_FALSE(plain.rstrip);
  CHECK_FALSE(plain.normalized);
  CHECK(added_token_of(R"({"content": "x", "single_word": true})").single_word);
  CHECK(added_token_of(R"({"content": "x", "lstrip": true})").lstrip);
  CHECK(added_token_of(R"({"content": "x", "rstrip": true})").rstrip);
  CHECK(added_token_of(R"({"content": "x", "normalized": true})").normalized);
  CHECK(added_token_of(R"({"content": "x"})", true).normalized);
  CHECK_FALSE(added_token_of(R"({"content": "x", "normalized": false})", true).normalized);
}

TEST_CASE("what is no added token is refused") {
  CHECK_THROWS_WITH(added_token_of(R"({"content": ""})"), "t.json: a token is empty");
  CHECK_THROWS_WITH(added_token_of(R"({"id": 3})"), "t.json: lacks content");
  CHECK_THROWS_WITH(added_token_of(R"({"content": 3})"), "t.json: content is not a string");
  CHECK_THROWS_WITH(added_token_of(R"({"content": "x", "lstrip": 1})"),
                    "t.json: lstrip is 1, expected true or false");
  CHECK_THROWS_WITH(added_token_of("[]"), "t.json: is not a JSON object");
}
