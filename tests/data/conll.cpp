#include <lora/data/conll.hpp>

#include <map>
#include <set>
#include <string>

#include "support/catch.hpp"
#include "support/skip.hpp"

using namespace lora;
using namespace lora::data;
using namespace lora::text;

namespace {

std::vector<TaggedSentence> parse(const std::string& text) { return parse_conll(text, "c.txt"); }

}  // namespace

TEST_CASE("CoNLL columns are read, with tabs or spaces, two of them or more") {
  const std::vector<TaggedSentence> two{{{"In", "Bonn"}, {"O", "B-LOC"}}, {{"."}, {"O"}}};
  CHECK(parse("In\tO\nBonn\tB-LOC\n\n.\tO\n") == two);
  CHECK(parse("In O\nBonn B-LOC\n\n. O") == two);
  CHECK(parse("\n\n-DOCSTART- -X- -X- O\r\n\r\nIn IN B-PP O\r\nBonn  NNP I-NP  B-LOC \r\n"
              "\r\n \t\r\n. . O O\r\n\r\n") == two);
  CHECK(parse("-DOCSTART- O\nIn O\nBonn B-LOC\n-DOCSTART-\n. O\n") == two);
  CHECK(parse("😀\tI-creative-work\na b\tO\n") ==
        std::vector<TaggedSentence>{{{"😀", "a b"}, {"I-creative-work", "O"}}});
  CHECK(parse("").empty());
}

TEST_CASE("a malformed CoNLL line is named") {
  CHECK_THROWS_WITH(
      parse("a O\n\nb\n"),
      "c.txt:3: has one column, \"b\", expected a word and, in the last column, its tag");
  CHECK_THROWS_WITH(parse("EU\u00A0B-ORG\n"),
                    R"(c.txt:1: has one column, "EU\u00a0B-ORG", expected a word and, in the last )"
                    "column, its tag");
  CHECK_THROWS_WITH(parse("EU B-ORG\u200B\n"),
                    R"(c.txt:1: the tag is "B-ORG\u200b", expected O, B-type or I-type)");
  CHECK_THROWS_WITH(parse("EU B-O\u00A0G\n"),
                    R"(c.txt:1: the tag is "B-O\u00a0G", expected O, B-type or I-type)");
  CHECK_THROWS_WITH(
      parse("In O\rBonn B-LOC\r"),
      R"(c.txt:1: has a carriage return within, expected lines that end with \n or \r\n)");
  CHECK_THROWS_WITH(parse("a X-PER\n"),
                    "c.txt:1: the tag is \"X-PER\", expected O, B-type or I-type");
  CHECK_THROWS_WITH(parse("a B-\n"), "c.txt:1: the tag is \"B-\", expected O, B-type or I-type");
  CHECK_THROWS_WITH(parse("\tO\n"), "c.txt:1: the word is empty");
  CHECK_THROWS_WITH(parse("\xFF O\n"), "c.txt:1: is not UTF-8");
}

TEST_CASE("no tag ends in an invisible character, and lines of white space end a sentence") {
  const auto read = [](const std::string& name) {
    return read_conll(std::filesystem::path(LORA_GOLDEN_DIR) / "cases/conll-variants" / name);
  };
  using Sentences = std::vector<TaggedSentence>;
  CHECK(read("crcrlf.conll") == Sentences{{{"EU", "rejects"}, {"B-ORG", "O"}}});
  CHECK(read("nbsp-tag.conll") == Sentences{{{"EU", "Corp", "rejects"}, {"B-ORG", "I-ORG", "O"}}});
  CHECK(read("space-lines.conll") ==
        Sentences{{{"EU"}, {"B-ORG"}}, {{"rejects"}, {"O"}}, {{"call"}, {"O"}}});
  CHECK(read("zerowidth.conll") ==
        Sentences{{{"EU\u200B", "\u200B", "rejects"}, {"B-ORG", "O", "O"}}});
  CHECK(read("comment-bom.conll") == Sentences{{{"EU"}, {"B-ORG"}}});
  CHECK(read("multiconer.conll") == Sentences{{{"EU", "rejects"}, {"B-ORG", "O"}}});
  CHECK_THROWS_WITH(read("bioes.conll"), Catch::Matchers::ContainsSubstring(
                                             R"(:1: the tag is "S-ORG", expected O, B-type or)"));
}

TEST_CASE("the word # is no comment") {
  using Sentences = std::vector<TaggedSentence>;
  CHECK(parse("# O\n1 O\n") == Sentences{{{"#", "1"}, {"O", "O"}}});
  CHECK(parse("# SYM B-NP O\n1 CD I-NP O\n") == Sentences{{{"#", "1"}, {"O", "O"}}});
  CHECK(parse("a O\n# O\n#b O\n") == Sentences{{{"a", "#", "#b"}, {"O", "O", "O"}}});
  CHECK(parse("# O\n") == Sentences{{{"#"}, {"O"}}});
  CHECK(parse("# a comment about O\n#\n# one\na O\n\n# another\nb O\n") ==
        Sentences{{{"a"}, {"O"}}, {{"b"}, {"O"}}});
  // Within a sentence nothing is a comment, nor is what follows # without a space.
  CHECK_THROWS_AS(parse("a O\n# comment\nb O\n"), FileError);
  CHECK_THROWS_AS(parse("#b S-X\n"), FileError);
}

TEST_CASE("a first column of numbers is not taken for the words") {
  const auto file = std::filesystem::path(LORA_GOLDEN_DIR) / "cases/conll-variants/germeval.tsv";
  CHECK_THROWS_WITH(read_conll(file),
                    file.string() +
                        ":4: the words of the sentence that ends here are 1, 2 ...: "
                        "the first column seems to number them; ConllColumns says "
                        "which columns are read");
  using Sentences = std::vector<TaggedSentence>;
  CHECK(read_conll(file, {.word = 1, .tag = 2}) ==
        Sentences{{{"Aufgrund", "Berlin"}, {"O", "B-LOC"}}});
  CHECK_THROWS_WITH(parse_conll("a O\n", "c.txt", {.word = 1, .tag = 2}),
                    "c.txt:1: has 2 columns, expected at least 3");
  CHECK(parse("1 O\n2 O\n") == Sentences{{{"1", "2"}, {"O", "O"}}});
  CHECK(parse("1 CD O\n") == Sentences{{{"1"}, {"O"}}});
  CHECK(parse("1 CD O\nof IN O\n") == Sentences{{{"1", "of"}, {"O", "O"}}});
}

TEST_CASE("the published named entities are read") {
  const auto folder = test::folder_or_skip("LORA_DATA_DIR");
  if (!folder) return;
  const auto types = [](const std::vector<TaggedSentence>& sentences) {
    std::set<std::string> found;
    for (const auto& sentence : sentences)
      for (const auto& tag : sentence.tags) found.emplace(parse_entity_tag(tag)->type);
    return found;
  };
  const auto train = read_conll(*folder / "wnut17/wnut17train.conll");
  CHECK(train.size() == 3394);
  CHECK(types(train) == std::set<std::string>{"", "corporation", "creative-work", "group",
                                              "location", "person", "product"});
  CHECK(read_conll(*folder / "wnut17/emerging.dev.conll").size() == 1009);
  CHECK(read_conll(*folder / "wnut17/emerging.test.annotated").size() == 1287);
  const auto wikigold = read_conll(*folder / "wikigold/wikigold.conll.txt");
  CHECK(types(wikigold) == std::set<std::string>{"", "LOC", "MISC", "ORG", "PER"});
  std::size_t words = 0;
  for (const auto& sentence : wikigold) words += sentence.words.size();
  CHECK(words > 38'000);
  CHECK(words < 40'000);
}
