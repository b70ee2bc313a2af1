#include <lora/text/token_table.hpp>

#include <algorithm>
#include <random>
#include <string>

#include "support/catch.hpp"

using namespace lora::text;

TEST_CASE("the longest token that a text begins with is found") {
  const TokenTable table({{U"a", 1}, {U"abc", 2}, {U"abcd", 3}, {U"b", 4}, {U"", 5}, {U"bé", 6}});
  const auto find = [&](const std::string& text) {
    const auto match = table.longest_prefix(characters_of(text));
    return match ? std::pair(match->id, match->length) : std::pair(-1, std::size_t{0});
  };
  CHECK(find("ab") == std::pair(1, std::size_t{1}));
  CHECK(find("abcx") == std::pair(2, std::size_t{3}));
  CHECK(find("abcde") == std::pair(3, std::size_t{4}));
  CHECK(find("béa") == std::pair(6, std::size_t{2}));
  CHECK(find("xa").first == -1);
  CHECK(find("").first == -1);
  CHECK(table.find(U"") == 5);
  CHECK(table.find(U"bé") == 6);
  CHECK_FALSE(table.find(U"ab"));
  CHECK_FALSE(TokenTable().longest_prefix(characters_of("a")));
}

TEST_CASE("of equal tokens the last counts") {
  const TokenTable table({{U"b", 1}, {U"a", 2}, {U"b", 3}, {U"a", 4}, {U"b", 5}});
  CHECK(table.size() == 2);
  CHECK(table.find(U"a") == 4);
  CHECK(table.find(U"b") == 5);
}

TEST_CASE("any table finds what looking at every token finds") {
  std::mt19937 random(5);
  const auto draw = [&](std::size_t most) {
    std::u32string text;
    for (auto n = random() % (most + 1); n > 0; --n)
      text.push_back(static_cast<char32_t>('a' + random() % 3));
    return text;
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<TokenId> tokens;
    for (auto n = random() % 30; n > 0; --n)
      tokens.push_back({draw(5), static_cast<int>(tokens.size())});
    const TokenTable table(tokens);
    for (int i = 0; i < 20; ++i) {
      const std::u32string text = draw(8);
      const TokenId* longest = nullptr;
      for (const TokenId& token : tokens)
        if (!token.token.empty() && text.starts_with(token.token) &&
            (longest == nullptr || token.token.size() >= longest->token.size()))
          longest = &token;
      std::vector<Character> characters;
      for (const char32_t c : text) characters.push_back({c, {}});
      const auto match = table.longest_prefix(characters);
      REQUIRE(match.has_value() == (longest != nullptr));
      if (match) {
        CHECK(match->id == longest->id);
        CHECK(match->length == longest->token.size());
      }
    }
  }
}
