#include <lora/text/special_tokens.hpp>

#include <string>
#include <utility>
#include <vector>

#include <lora/text/word_piece.hpp>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

namespace {

WordPiece model_with_gap() {
  const std::vector<std::pair<std::string, int>> tokens{{"[PAD]", 0}, {"[UNK]", 1}, {"[CLS]", 2},
                                                        {"[SEP]", 3}, {"a", 4},     {"b", 9}};
  return {tokens, {}};
}

// "content:id" of each.
std::vector<std::string> listed(const std::vector<AddedToken>& tokens) {
  std::vector<std::string> found;
  for (const AddedToken& token : tokens) found.push_back(message(token.content, ":", token.id));
  return found;
}

using Listed = std::vector<std::string>;

}  // namespace

TEST_CASE("special tokens have the vocabulary's ids, or the next that are free") {
  std::vector<AddedToken> added{{.content = "x", .id = 20}};
  add_special_tokens(model_with_gap(),
                     {{.content = "new"},
                      {.content = "b"},
                      {.content = "x"},
                      {.content = "newer"},
                      {.content = "new"}},
                     "f", added);
  CHECK(listed(added) == Listed{"x:20", "new:21", "b:9", "newer:22"});
  added.clear();
  add_special_tokens(model_with_gap(), {{.content = "new", .lstrip = true}}, "f", added);
  CHECK(listed(added) == Listed{"new:10"});
  CHECK(added[0].lstrip);
}

TEST_CASE("added tokens that contradict the vocabulary or each other are refused") {
  const auto refusal = [](std::vector<AddedToken> added) {
    try {
      add_special_tokens(model_with_gap(), {}, "f", added);
    } catch (const FileError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(refusal({{.content = "a", .id = 4}, {.content = "x", .id = 5}}) == "accepted");
  CHECK(refusal({{.content = "a", .id = 5}}) ==
        "f: the added token \"a\" has the id 5, but the vocabulary says 4");
  CHECK(refusal({{.content = "\n", .id = 4}}) ==
        R"(f: the added token "\n" has the id 4, which is "a" in the vocabulary)");
  CHECK(refusal({{.content = "x", .id = 5}, {.content = "y", .id = 5}}) ==
        "f: the added token \"y\" has the id 5, which another one has too");
  CHECK(refusal({{.content = "x", .id = 5}, {.content = "x", .id = 6}}) ==
        "f: the added token \"x\" has the id 6 and stands twice");
}

TEST_CASE("thousands of special tokens take no longer than their number") {
  // A search through all of them for each would take minutes; ctest ends it then.
  std::vector<AddedToken> special;
  for (int i = 0; i < 50'000; ++i) special.push_back({.content = "<" + std::to_string(i) + ">"});
  std::vector<AddedToken> added;
  add_special_tokens(model_with_gap(), special, "f", added);
  CHECK(added.size() == special.size());
  CHECK(added.back().id == 10 + 49'999);
}
