#include "examples/text_generation/samples.hpp"

#include <fstream>
#include <string>
#include <vector>

#include "examples/text_generation/tiny_model.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace textgen;
using lora::test::check_throws;
using lora::test::TemporaryDirectory;

TEST_CASE("of a pair the completion is learnt, in a chat and as plain text") {
  const TemporaryDirectory folder;
  lora::test::write_tiny_llama(folder / "m.gguf");
  const Language language((folder / "m.gguf").string());
  CHECK(language.settings.end_tokens == std::vector<int>{258});
  const auto plain = sample_of({"ab", "cd"}, language, true, 100);
  CHECK(plain.ids == std::vector<int>{'a', 'b', 'c', 'd', 258});
  CHECK(plain.labels == std::vector<int>{-100, -100, 'c', 'd', 258});
  const auto chat = sample_of({"ab", "cd"}, language, false, 100);
  CHECK(std::vector<int>(chat.labels.end() - 5, chat.labels.end()) ==
        std::vector<int>{-100, 'c', 'd', 258, -100});
  CHECK(std::count(chat.ids.begin(), chat.ids.end(), 257) == 2);
  // Cut off, and without anything to learn.
  CHECK(sample_of({"ab", "cd"}, language, true, 3).labels == std::vector<int>{-100, -100, 'c'});
  CHECK(samples_of({{"ab", "cd"}}, language, true, 2).size() == 0);
}

TEST_CASE("a file is pairs or any text, in pieces") {
  const TemporaryDirectory folder;
  lora::test::write_tiny_llama(folder / "m.gguf");
  const Language language((folder / "m.gguf").string());
  std::ofstream(folder / "t.txt") << "abcdefghij";
  const Samples text = read_samples(folder / "t.txt", language, false, 4);
  CHECK(text.lengths == std::vector<Index>{4, 4, 2});
  CHECK(text.tokens() == 10);
  CHECK(text.texts[2].labels == std::vector<int>{'i', 'j'});
  std::ofstream(folder / "p.jsonl") << R"({"prompt": "a", "completion": "b"})"
                                    << "\n";
  CHECK(read_samples(folder / "p.jsonl", language, true, 8).size() == 1);
  std::ofstream(folder / "e.txt") << "x";
  check_throws<lora::FileError>(
      [&] { static_cast<void>(read_samples(folder / "e.txt", language, false, 4)); },
      "e.txt: has nothing to learn from");
}

TEST_CASE("what is held out is the same for every seed, and never all") {
  Samples samples;
  for (int i = 0; i < 20; ++i) samples.push_back({{i, i}, {i, i}});
  const Parts parts = split(samples, 10);
  CHECK(parts.held_out.size() == 2);
  CHECK(parts.train.size() == 18);
  CHECK(split(samples, 10).held_out.fingerprint() == parts.held_out.fingerprint());
  Samples two;
  for (int i = 0; i < 2; ++i) two.push_back({{i, i}, {i, i}});
  CHECK(split(two, 1).held_out.size() == 1);
  CHECK(split(two, 90).train.size() == 1);
  Samples one;
  one.push_back({{1, 1}, {1, 1}});
  check_throws<lora::FileError>([&] { static_cast<void>(split(one, 10)); }, "one text is too few");
}
