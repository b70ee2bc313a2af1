#include "examples/text_generation/jargon.hpp"

#include <string>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace textgen;
using lora::data::PromptCompletion;

TEST_CASE("entries of the Jargon File become questions and answers") {
  const std::string text =
      "Front matter\n\n   :notes: are no entry unless they have a text\n\n"
      "   :kluge: /klooj/\n\n   1. n. A {hack}\n   of two lines.\n\n   2. More.\n\n\n"
      "   :kgbvax: n.\n\n   See {kremvax}.\n\nPart III. Appendices\n\n   An indented line.\n"
      "   :last: n.\n\n   The end";
  const auto entries = parse_jargon(text, "j.txt");
  REQUIRE(entries.size() == 3);
  CHECK(entries[0] == PromptCompletion{question("kluge"),
                                       "kluge: /klooj/\n\n1. n. A hack of two lines.\n\n2. More."});
  CHECK(entries[1] == PromptCompletion{question("kgbvax"), "kgbvax: n.\n\nSee kremvax."});
  CHECK(entries[2].completion == "last: n.\n\nThe end");
}

TEST_CASE("entries are cut at a paragraph, and too long ones left out") {
  const std::string text = "   :a: n.\n\n   Short.\n\n   " + std::string(90, 'x') +
                           "\n\n   :b: n.\n\n   " + std::string(120, 'y') + "\n";
  const auto entries = parse_jargon(text, "j.txt", 100);
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].completion == "a: n.\n\nShort.");
}

TEST_CASE("a text that is not the Jargon File is refused with the way to get it") {
  lora::test::check_throws<lora::FileError>(
      [] { static_cast<void>(parse_jargon("nothing here\n", "j.txt")); }, "get_texts.sh");
}
