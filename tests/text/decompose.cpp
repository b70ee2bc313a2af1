#include <lora/text/decompose.hpp>

#include <algorithm>
#include <string>

#include "support/catch.hpp"
#include "text/golden_text.hpp"

using namespace lora::text;

namespace {

std::u32string decomposed(const std::string& text) {
  std::u32string values;
  for (const Character& c : decompose(characters_of(text))) values.push_back(c.value);
  return values;
}

}  // namespace

TEST_CASE("marks are decomposed and ordered as in Hugging Face's NFD") {
  const auto& cases = lora::test::golden_text()["nfd"];
  REQUIRE(cases.size() == 600);
  for (const auto& entry : cases) {
    CAPTURE(entry[0].get<std::string>());
    CHECK(decomposed(entry[0].get<std::string>()) == utf32(entry[1].get<std::string>()));
  }
}

TEST_CASE("decomposing twice changes nothing") {
  for (const auto& entry : lora::test::golden_text()["nfd"]) {
    const auto once = decompose(characters_of(entry[0].get<std::string>()));
    CHECK(decompose(once) == once);
  }
}

TEST_CASE("a run of a hundred thousand marks is sorted") {
  // Classes 220 and 230 in turn: sorting by exchanging neighbours would take 10^10 / 4 steps.
  std::vector<Character> text{{U'a', {}}};
  for (int i = 0; i < 50'000; ++i) {
    text.push_back({0x301, {}});
    text.push_back({0x316, {}});
  }
  const auto result = decompose(text);
  REQUIRE(result.size() == text.size());
  CHECK(result[1].value == 0x316);
  CHECK(result.back().value == 0x301);
  CHECK(std::is_sorted(result.begin(), result.end(), [](const Character& a, const Character& b) {
    return combining_class(a.value) < combining_class(b.value);
  }));
}
