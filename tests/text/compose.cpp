#include <lora/text/compose.hpp>

#include <string>

#include "support/catch.hpp"
#include "text/golden_byte_pair.hpp"

using namespace lora;
using namespace lora::text;

namespace {

std::u32string nfc(const std::u32string& text) {
  std::vector<Character> characters;
  for (const char32_t c : text) characters.push_back({c, {}});
  std::u32string values;
  for (const Character& c : compose(characters)) values.push_back(c.value);
  return values;
}

}  // namespace

TEST_CASE("texts are composed as Hugging Face's tokenizers compose them") {
  std::vector<bool> changes(0x110000, false);
  for (const auto& pair : test::golden_byte_pair()["compositions"]) {
    const std::u32string text = utf32(pair[0].get<std::string>());
    CAPTURE(pair[0].get<std::string>());
    CHECK(nfc(text) == utf32(pair[1].get<std::string>()));
    if (text.size() == 1) changes[text[0]] = true;
  }
  std::size_t wrong = 0;
  for (char32_t c = 0; c < 0x110000; ++c)
    if ((c < 0xD800 || c > 0xDFFF) && !changes[c] && nfc({c}) != std::u32string(1, c)) ++wrong;
  CHECK(wrong == 0);
}

TEST_CASE("a composed character has the bytes of its parts") {
  const auto result = compose(characters_of("ae\u0301\u0316b"));
  REQUIRE(result.size() == 4);
  CHECK(result[0] == Character{U'a', {0, 1}});
  CHECK(result[1].value == U'é');
  CHECK(result[1].origin.begin == 1);
  CHECK(result[3] == Character{U'b', {6, 7}});
  CHECK(compose({}).empty());
}

TEST_CASE("a long run of marks is composed in n log n") {
  std::u32string marks = U"a";
  while (marks.size() < 300'000) marks += U"\u0301\u0316";
  CHECK(nfc(marks).size() == marks.size() - 1);
}
