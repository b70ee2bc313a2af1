#include <lora/data/prompt_completion.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::data;

namespace {

std::vector<PromptCompletion> parse_pairs(const std::string& text) {
  return parse_prompt_completions(text, "p.jsonl");
}

}  // namespace

TEST_CASE("prompts and completions are read a line each, as they stand") {
  CHECK(parse_pairs("{\"prompt\": \"Why?\", \"completion\": \" So. \"}\n"
                    "\r\n \t\n"
                    "{ \"completion\" : \"\\u00e9\\n\\\"\", \"prompt\" : \"\" } \r\r\n") ==
        std::vector<PromptCompletion>{{"Why?", " So. "}, {"", "é\n\""}});
  CHECK(parse_pairs("\xEF\xBB\xBF{\"prompt\":\"日本\",\"completion\":\"\\ud83d\\ude00\"}") ==
        std::vector<PromptCompletion>{{"日本", "😀"}});
  CHECK(parse_pairs("").empty());
}

TEST_CASE("a line that is no prompt and completion is named") {
  const std::string good = "{\"prompt\": \"a\", \"completion\": \"b\"}\n";
  CHECK_THROWS_WITH(parse_pairs(good + "[1]"), "p.jsonl:2: is not a JSON object");
  CHECK_THROWS_WITH(parse_pairs(good + R"({"prompt": "a"})"), "p.jsonl:2: lacks completion");
  CHECK_THROWS_WITH(parse_pairs(R"({"prompt": null, "completion": "b"})"),
                    "p.jsonl:1: lacks prompt");
  CHECK_THROWS_WITH(parse_pairs(R"({"prompt": ["a"], "completion": "b"})"),
                    "p.jsonl:1: prompt is not a string");
  CHECK_THROWS_WITH(parse_pairs(R"({"prompt": "a", "completion": ""})"),
                    "p.jsonl:1: the completion is empty");
  CHECK_THROWS_WITH(parse_pairs(R"({"prompt": "a", "completion": "b", "x\u200b": 1})"),
                    R"(p.jsonl:1: the key "x\u200b" is not known, expected prompt and completion)");
  CHECK_THROWS_WITH(parse_pairs("\n{\"prompt\": \xFF}"), "p.jsonl:2: is not UTF-8");
  CHECK_THROWS_WITH(parse_pairs("\n\n{"),
                    Catch::Matchers::StartsWith("p.jsonl:3: not valid JSON: "));
  // One object over several lines is no line of JSON; nor are two on one.
  CHECK_THROWS_AS(parse_pairs("{\"prompt\": \"a\",\n\"completion\": \"b\"}"), FileError);
  CHECK_THROWS_AS(parse_pairs(good.substr(0, good.size() - 1) + good), FileError);
  CHECK_THROWS_AS(parse_pairs(R"({"prompt": "a", "prompt": "a", "completion": "b"})"), FileError);
  CHECK_THROWS_AS(parse_pairs(R"({"prompt": "\ud800", "completion": "b"})"), FileError);
}

TEST_CASE("a file of prompts and completions is read") {
  const test::TemporaryDirectory folder;
  test::write_whole(folder / "p.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{}");
  CHECK_THROWS_WITH(read_prompt_completions(folder / "p.jsonl"),
                    (folder / "p.jsonl").string() + ":2: lacks prompt");
  CHECK_THROWS_AS(read_prompt_completions(folder / "none"), FileError);
}

TEST_CASE("a hundred thousand lines take time in proportion to their number") {
  // Each would take hours if a line went through all that came before it; ctest ends it then.
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "{\"prompt\": \"a\", \"completion\": \"b\"}\n";
  CHECK(parse_pairs(text).size() == 100'000);
}
