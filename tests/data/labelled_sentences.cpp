#include <lora/data/labelled_sentences.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/skip.hpp"

using namespace lora;
using namespace lora::data;
using namespace lora::text;

namespace {

std::vector<LabelledSentence> parse_sentences(const std::string& text) {
  return parse_labelled_sentences(text, "s.txt");
}

}  // namespace

TEST_CASE("labelled sentences are read as they were published") {
  CHECK(parse_sentences("Good.\t1\nBad  \t0\n") ==
        std::vector<LabelledSentence>{{"Good.", 1}, {"Bad", 0}});
  CHECK(parse_sentences("Good.\t1\r\n\r\nBad.\t0") ==
        std::vector<LabelledSentence>{{"Good.", 1}, {"Bad.", 0}});
  CHECK(parse_sentences("\"One\" \"\"two\"\t1\n") ==
        std::vector<LabelledSentence>{{"\"One\" \"\"two\"", 1}});
  CHECK(parse_sentences("a\tb\t0 \n") == std::vector<LabelledSentence>{{"a\tb", 0}});
  CHECK(parse_sentences("next\u0085line\t1\n") ==
        std::vector<LabelledSentence>{{"next\u0085line", 1}});
  CHECK(parse_sentences("\xEF\xBB\xBFx\t1\n") == std::vector<LabelledSentence>{{"x", 1}});
  CHECK(parse_sentences("a \u00A0\t1\r\r\nb\t0\u00A0\n \n") ==
        std::vector<LabelledSentence>{{"a", 1}, {"b", 0}});
  CHECK(parse_sentences("").empty());
}

TEST_CASE("a malformed line of labelled sentences is named") {
  CHECK_THROWS_WITH(parse_sentences("a\t1\nb 0\n"),
                    "s.txt:2: has no tab, expected a sentence, a tab and 0 or 1");
  CHECK_THROWS_WITH(parse_sentences("a\t2\n"), "s.txt:1: the label is \"2\", expected 0 or 1");
  CHECK_THROWS_WITH(parse_sentences("a\t\n"), "s.txt:1: the label is \"\", expected 0 or 1");
  CHECK_THROWS_WITH(parse_sentences("\n  \t1\n"), "s.txt:2: the sentence is empty");
  CHECK_THROWS_WITH(parse_sentences("a\t1\u200B\n"),
                    R"(s.txt:1: the label is "1\u200b", expected 0 or 1)");
  CHECK_THROWS_WITH(
      parse_sentences("a\t1\rb\t0\r"),
      R"(s.txt:1: has a carriage return within, expected lines that end with \n or \r\n)");
  CHECK_THROWS_WITH(parse_sentences("\xFF\t1\n"), "s.txt:1: is not UTF-8");
  CHECK_THROWS_AS(read_labelled_sentences("/does/not/exist"), FileError);
}

TEST_CASE("the published review sentences are read") {
  const auto data = test::folder_or_skip("LORA_DATA_DIR");
  if (!data) return;
  for (const char* name : {"amazon_cells", "imdb", "yelp"}) {
    CAPTURE(name);
    const auto sentences = read_labelled_sentences(*data / "sentiment_sentences" /
                                                   (std::string(name) + "_labelled.txt"));
    CHECK(sentences.size() == 1000);
    std::size_t positive = 0;
    for (const auto& sentence : sentences) positive += sentence.label == 1 ? 1 : 0;
    CHECK(positive == 500);
  }
}
