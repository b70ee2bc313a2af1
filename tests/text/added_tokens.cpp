#include <lora/text/added_tokens.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

namespace {

AddedTokens make(std::vector<AddedToken> tokens) {
  std::vector<std::u32string> contents;
  for (const AddedToken& token : tokens) contents.push_back(utf32(token.content));
  return {std::move(tokens), contents};
}

// The parts as text, "id:part" for added tokens.
std::vector<std::string> split(const AddedTokens& tokens, const std::string& text) {
  std::vector<AddedTokens::Part> parts;
  tokens.split(characters_of(text), parts);
  std::vector<std::string> found;
  for (const auto& part : parts) {
    const std::string content = text.substr(part.begin, part.end - part.begin);
    found.push_back(part.id ? std::to_string(*part.id) + ":" + content : content);
  }
  return found;
}

using Parts = std::vector<std::string>;

}  // namespace

TEST_CASE("a text is split at added tokens, the leftmost and longest first") {
  const AddedTokens tokens =
      make({{.content = "[A]", .id = 1}, {.content = "[A]B", .id = 2}, {.content = "B", .id = 3}});
  CHECK(split(tokens, "x[A]y") == Parts{"x", "1:[A]", "y"});
  CHECK(split(tokens, "[A]B[A]") == Parts{"2:[A]B", "1:[A]"});
  CHECK(split(tokens, "xBB") == Parts{"x", "3:B", "3:B"});
  CHECK(split(tokens, "[a]") == Parts{"[a]"});
  CHECK(split(tokens, "").empty());
  CHECK(split(AddedTokens(), "[A]") == Parts{"[A]"});
}

TEST_CASE("lstrip and rstrip take white space, single_word minds its neighbours") {
  const AddedTokens tokens = make({{.content = "<l>", .id = 1, .lstrip = true},
                                   {.content = "<r>", .id = 2, .rstrip = true},
                                   {.content = "w", .id = 3, .single_word = true}});
  CHECK(split(tokens, "a  <l>  b") == Parts{"a", "1:  <l>", "  b"});
  CHECK(split(tokens, "a <r> \t b") == Parts{"a ", "2:<r> \t ", "b"});
  CHECK(split(tokens, "<r>  <l>") == Parts{"2:<r>  ", "1:<l>"});
  CHECK(split(tokens, "w ww .w. _w") == Parts{"3:w", " ww .", "3:w", ". _w"});
}

TEST_CASE("a token that is empty or too long is refused") {
  CHECK_THROWS_AS(make({{.content = "", .id = 1}}), ConfigError);
  CHECK_THROWS_WITH(make({{.content = std::string(1001, 'a'), .id = 4}}),
                    "AddedTokens: the token 4 is 1001 characters long, expected 1 to 1000");
}
