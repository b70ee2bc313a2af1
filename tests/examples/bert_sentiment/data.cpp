#include "examples/bert_sentiment/data.hpp"

#include <fstream>

#include <lora/train/split.hpp>
#include "support/catch.hpp"
#include "support/skip.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace sentiment;
using lora::test::check_throws;
using lora::test::TemporaryDirectory;

TEST_CASE("sentences are read from the published files or from one file") {
  const TemporaryDirectory folder;
  check_throws<lora::FileError>([&] { static_cast<void>(read_sentences(folder.path())); },
                                "has none of amazon_cells_labelled.txt");
  std::ofstream(folder / "yelp_labelled.txt") << "Loved it.\t1\r\nNot \"good\".  \t0\r\n";
  std::ofstream(folder / "amazon_cells_labelled.txt") << "It broke.\t0\n";
  const auto all = read_sentences(folder.path());
  CHECK(all ==
        std::vector<LabelledSentence>{{"It broke.", 0}, {"Loved it.", 1}, {"Not \"good\".", 0}});
  CHECK(read_sentences(folder / "yelp_labelled.txt").size() == 2);
  check_throws<lora::FileError>([&] { static_cast<void>(read_sentences(folder / "none")); },
                                "cannot open");
}

TEST_CASE("the published sentences are all read, half of them positive") {
  const auto data = lora::test::folder_or_skip("LORA_DATA_DIR");
  if (!data) return;
  const auto all = read_sentences(*data / "sentiment_sentences");
  CHECK(all.size() == 3000);
  int positive = 0;
  for (const LabelledSentence& each : all) positive += each.label;
  CHECK(positive == 1500);
  const auto parts = lora::train::split(all);
  CHECK(parts.train.size() == 2100);
  CHECK(parts.test.size() == 450);
}
