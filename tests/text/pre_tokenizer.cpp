#include <lora/text/pre_tokenizer.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "text/golden_byte_pair.hpp"

using namespace lora;
using namespace lora::text;

namespace {

std::vector<std::string> pieces_of(const std::string& text, SplitPattern pattern) {
  std::vector<std::string> pieces;
  for_each_piece(characters_of(text), pattern, [&](std::span<const Character> piece) {
    const std::size_t begin = piece.front().origin.begin;
    pieces.push_back(text.substr(begin, piece.back().origin.end - begin));
  });
  return pieces;
}

using Pieces = std::vector<std::string>;

}  // namespace

TEST_CASE("texts are cut into the pieces of Hugging Face's tokenizers") {
  const auto& golden = test::golden_byte_pair();
  REQUIRE(golden["strings"].size() > 1000);
  for (const auto& [name, pattern] : test::split_patterns)
    for (std::size_t i = 0; i < golden["strings"].size(); ++i) {
      const auto text = golden["strings"][i].get<std::string>();
      CAPTURE(name, i, printable(text));
      std::vector<std::size_t> lengths;
      for_each_piece(characters_of(text), pattern,
                     [&, &lengths = lengths](auto piece) { lengths.push_back(piece.size()); });
      CHECK(lengths == golden["pieces"][name][i].get<std::vector<std::size_t>>());
    }
}

TEST_CASE("the patterns differ in contractions, numbers and the ends of lines") {
  CHECK(pieces_of("IT'S 1234!\n\nx", SplitPattern::gpt2) ==
        Pieces{"IT", "'", "S", " 1234", "!", "\n", "\n", "x"});
  CHECK(pieces_of("IT'S 1234!\n\nx", SplitPattern::llama3) ==
        Pieces{"IT", "'S", " ", "123", "4", "!\n\n", "x"});
  CHECK(pieces_of("IT'S 1234!\n\nx", SplitPattern::qwen2) ==
        Pieces{"IT", "'S", " ", "1", "2", "3", "4", "!\n\n", "x"});
  CHECK(pieces_of("a  12 b", SplitPattern::smollm) == Pieces{"a", "  ", "1", "2", " b"});
  CHECK(pieces_of("", SplitPattern::llama3).empty());
  CHECK(pieces_of("", SplitPattern::smollm).empty());
}

TEST_CASE("letters and numbers are those of the tokenizers' regular expressions") {
  // Letters of Unicode 17 and later are not held back.
  const bool exact = std::stoi(utf8proc_unicode_version()) <= 16;
  const auto check = [&](const char* name, bool (*is)(char32_t)) {
    std::vector<bool> expected(0x110000, false);
    for (const auto& range : test::golden_byte_pair()[name])
      for (auto c = range[0].get<std::size_t>(); c <= range[1].get<std::size_t>(); ++c)
        expected[c] = true;
    std::size_t wrong = 0;
    for (std::size_t c = 0; c < expected.size(); ++c) {
      const bool found = is(static_cast<char32_t>(c));
      if (found != expected[c] && (exact || expected[c])) ++wrong;
    }
    CAPTURE(name);
    CHECK(wrong == 0);
  };
  check("letters", is_letter);
  check("numbers", is_number);
}

TEST_CASE("a hostile text is cut in time in proportion to its length") {
  // Each would take hours if a piece looked through all that follows it; ctest ends it then.
  constexpr std::size_t size = 100'000;
  for (const auto& [name, pattern] : test::split_patterns)
    for (const char* part : {" ", "\n ", " \n", "'", "a ", " \t!", "1", "\u00A0\r"}) {
      std::string text;
      while (text.size() < size) text += part;
      std::size_t characters = 0;
      const auto all = characters_of(text);
      for_each_piece(all, pattern,
                     [&, &characters = characters](auto piece) { characters += piece.size(); });
      CAPTURE(name, printable(part));
      CHECK(characters == all.size());
    }
}
