#include "examples/bert_ner/data.hpp"

#include <fstream>

#include "support/catch.hpp"
#include "support/skip.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace ner;
using lora::test::check_throws;
using lora::test::TemporaryDirectory;

TEST_CASE("WNUT's three files are its split") {
  const TemporaryDirectory folder;
  check_throws<lora::FileError>([&] { static_cast<void>(read_data(folder.path())); },
                                "has neither wnut17train.conll nor wikigold.conll.txt");
  std::ofstream(folder / "wnut17train.conll") << "Ada\tB-person\nsings\tO\n\n\t\nhere\tO\n";
  std::ofstream(folder / "emerging.dev.conll") << "Paris\tB-location\n";
  check_throws<lora::FileError>([&] { static_cast<void>(read_data(folder.path())); },
                                "emerging.test.annotated: cannot open");
  std::ofstream(folder / "emerging.test.annotated") << "\n";
  check_throws<lora::FileError>([&] { static_cast<void>(read_data(folder.path())); },
                                "emerging.test.annotated: has no sentence");
  std::ofstream(folder / "emerging.test.annotated") << "x\tO\n";
  const Data data = read_data(folder.path());
  CHECK(data.official);
  CHECK(data.split.train.size() == 2);
  CHECK(data.split.validation == std::vector<TaggedSentence>{{{"Paris"}, {"B-location"}}});
  CHECK(data.split.test.size() == 1);
}

TEST_CASE("one file is split by a shuffle") {
  const TemporaryDirectory folder;
  std::ofstream file(folder / "wikigold.conll.txt");
  for (int i = 0; i < 20; ++i) file << "w" << i << " I-PER\n\n";
  file.close();
  const Data whole = read_data(folder.path());
  CHECK_FALSE(whole.official);
  CHECK(whole.split.train.size() == 14);
  CHECK(read_data(folder / "wikigold.conll.txt").split.test == whole.split.test);
}

TEST_CASE("classes are the tags of the training sentences, O first") {
  const std::vector<TaggedSentence> sentences{{{"a", "b"}, {"I-PER", "B-PER"}}, {{"c"}, {"B-LOC"}}};
  const auto tags = tags_of(sentences);
  CHECK(tags == std::vector<std::string>{"O", "B-LOC", "B-PER", "I-PER"});
  CHECK(labels_of(sentences[0], tags) == std::vector<int>{3, 2});
  CHECK(labels_of({{"x", "y"}, {"B-NEW", "O"}}, tags) == std::vector<int>{-100, 0});
}

TEST_CASE("the published files are read whole") {
  const auto folder = lora::test::folder_or_skip("LORA_DATA_DIR");
  if (!folder) return;
  const Data wnut = read_data(*folder / "wnut17");
  CHECK(wnut.split.train.size() == 3394);
  CHECK(wnut.split.validation.size() == 1009);
  CHECK(wnut.split.test.size() == 1287);
  CHECK(tags_of(wnut.split.train).size() == 13);
  const Data wikigold = read_data(*folder / "wikigold");
  CHECK_FALSE(wikigold.official);
  CHECK(tags_of(wikigold.split.train) ==
        std::vector<std::string>{"O", "I-LOC", "I-MISC", "I-ORG", "I-PER"});
}
