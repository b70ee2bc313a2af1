#include <lora/text/word_piece.hpp>

#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

namespace {

using Tokens = std::vector<std::pair<std::string, int>>;

std::vector<int> cut(const WordPiece& model, const std::string& word) {
  std::vector<WordPiece::Piece> pieces;
  model.cut(characters_of(word), pieces);
  std::vector<int> ids;
  for (const auto& piece : pieces) ids.push_back(piece.id);
  return ids;
}

}  // namespace

TEST_CASE("a word is cut into the longest pieces from the left") {
  const WordPiece model(
      Tokens{{"[UNK]", 0}, {"un", 1}, {"##aff", 2}, {"##able", 3}, {"##a", 4}, {"able", 5}}, {});
  CHECK(cut(model, "unaffable") == std::vector{1, 2, 3});
  CHECK(cut(model, "able") == std::vector{5});
  CHECK(cut(model, "unaffa") == std::vector{1, 2, 4});
  CHECK(cut(model, "unb") == std::vector{0});
  // A word that looks like a piece is one, as in Hugging Face.
  CHECK(cut(model, "##able") == std::vector{3});
  CHECK(cut(model, "").empty());
  CHECK(*model.token_of(3) == "##able");
  CHECK(model.token_of(9) == nullptr);
}

TEST_CASE("a word of more than max_input_chars_per_word is unknown") {
  const WordPiece model(
      Tokens{{"?", 7}, {"é", 1}, {"+é", 2}},
      {.unk_token = "?", .continuing_subword_prefix = "+", .max_input_chars_per_word = 3});
  CHECK(cut(model, "ééé") == std::vector{1, 2, 2});
  CHECK(cut(model, "éééé") == std::vector{7});
}

TEST_CASE("pieces that go before unknown ones are taken back alone") {
  const WordPiece model(Tokens{{"[UNK]", 0}, {"a", 1}}, {});
  std::vector<WordPiece::Piece> pieces{{9, 0, 1}};
  model.cut(characters_of("ax"), pieces);
  REQUIRE(pieces.size() == 2);
  CHECK(pieces[0].id == 9);
  CHECK(pieces[1].id == 0);
  CHECK(pieces[1].end == 2);
}

TEST_CASE("a model that cannot be is refused") {
  CHECK_THROWS_WITH(WordPiece(Tokens{{"a", 0}}, {}),
                    "WordPiece: unk_token \"[UNK]\" is not in the vocabulary");
  CHECK_THROWS_WITH(WordPiece(Tokens{{"[UNK]", -1}}, {}),
                    "WordPiece: the id of \"[UNK]\" is -1, expected at least 0");
  CHECK_THROWS_WITH(WordPiece(Tokens{{"[UNK]", 0}}, {.max_input_chars_per_word = 10'001}),
                    "WordPiece: max_input_chars_per_word is 10001, expected at most 10000");
}
