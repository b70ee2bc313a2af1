#include <lora/text/vocabulary_json.hpp>

#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

TEST_CASE("a vocabulary is tokens with an id each") {
  const io::Json json = io::parse_json(R"({"b": 0, "a": 7})", "t");
  CHECK(read_vocabulary(JsonFields(json, "t")) ==
        std::vector<std::pair<std::string, int>>{{"a", 7}, {"b", 0}});
  const io::Json twice = io::parse_json(R"({"a": 0, "\n": 0})", "t");
  CHECK_THROWS_WITH(read_vocabulary(JsonFields(twice, "t")),
                    "t: \"a\" and another token have the id 0");
  const io::Json negative = io::parse_json(R"({"\n": -1})", "t");
  CHECK_THROWS_WITH(read_vocabulary(JsonFields(negative, "t")),
                    R"(t: the id of "\n" is not an integer from 0 to 2147483647)");
}

TEST_CASE("added tokens are read with their ids, where there are any") {
  const io::Json json =
      io::parse_json(R"({"added_tokens": [{"id": 3, "content": "x", "special": true}]})", "t");
  const auto tokens = read_added_tokens(JsonFields(json, "t"));
  REQUIRE(tokens.size() == 1);
  CHECK(tokens[0].id == 3);
  CHECK(tokens[0].special);
  CHECK(read_added_tokens(JsonFields(io::Json::object(), "t")).empty());
  const io::Json none = io::parse_json(R"({"added_tokens": [{"content": "x"}]})", "t");
  CHECK_THROWS_WITH(read_added_tokens(JsonFields(none, "t")), "t, added_tokens: lacks id");
}

TEST_CASE("a component of another type is refused by name") {
  const io::Json json = io::parse_json(R"({"type": "A\u200b"})", "t");
  CHECK_NOTHROW(require_type(JsonFields(json, "t"), "A\u200B"));
  CHECK_THROWS_WITH(require_type(JsonFields(json, "t"), "B"),
                    R"(t: type is A\u200b, of which only B is known)");
}
