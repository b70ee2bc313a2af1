#include <lora/text/bert_normalizer.hpp>

#include <string>

#include "support/catch.hpp"

using namespace lora::text;
using namespace std::string_literals;

namespace {

std::u32string normalize(const BertNormalizer& normalizer, const std::string& text) {
  std::u32string values;
  for (const Character& c : normalizer(characters_of(text))) values.push_back(c.value);
  return values;
}

}  // namespace

TEST_CASE("each setting of the normalizer does its part") {
  CHECK(normalize({}, "Ünï\tCÖDE\0\x7F"s) == U"uni code");
  CHECK(normalize({.strip_accents = false}, "ÜN\u00ADI") == U"üni");
  CHECK(normalize({.lowercase = false}, "Ü") == U"Ü");
  CHECK(normalize({.strip_accents = true, .lowercase = false}, "Ü") == U"U");
  CHECK(normalize({.clean_text = false}, "A\tB\0"s) == U"a\tb\0"s);
  CHECK(normalize({}, "a中b") == U"a 中 b");
  CHECK(normalize({.handle_chinese_chars = false}, "a中b") == U"a中b");
}

TEST_CASE("lower case is each character's own") {
  CHECK(normalize({.strip_accents = false}, "İΣΣ") == U"i\u0307σσ");
  CHECK(normalize({}, "İΣΣ") == U"iσσ");
}

TEST_CASE("characters keep the bytes that they came from") {
  const auto result = BertNormalizer{}(characters_of("\u00ADÜ中"));
  REQUIRE(result.size() == 4);
  CHECK(result[0] == Character{U'u', {2, 4}});
  CHECK(result[1] == Character{U' ', {4, 7}});
  CHECK(result[2] == Character{U'中', {4, 7}});
  CHECK(result[3] == Character{U' ', {4, 7}});
}
