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
  CHECK_THROWS_WITH(parse("a O\n\nb\n"),
                    "c.txt:3: has one column, expected a word and, in the last column, its tag");
  CHECK_THROWS_WITH(parse("a X-PER\n"),
                    "c.txt:1: the tag is \"X-PER\", expected O, B-type or I-type");
  CHECK_THROWS_WITH(parse("a B-\n"), "c.txt:1: the tag is \"B-\", expected O, B-type or I-type");
  CHECK_THROWS_WITH(parse("\tO\n"), "c.txt:1: the word is empty");
  CHECK_THROWS_WITH(parse("\xFF O\n"), "c.txt:1: is not UTF-8");
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
